"""People who use an installation over HTTP, and what they must find in the end."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx

from contanos.bus import Bus
from tests.backend.clients import ADMIN, Person
from tests.backend.tasks import TASKS, task
from tests.backend.videos import Headers
from tests.services.installation import Service
from tests.services.rounds import assert_same_but_for_the_name
from video_analysis.control.reconciler import DUTY_PREFIX
from video_analysis.run import Run
from video_analysis.settings import Options, Settings

RESULTS = ("annotated.mp4", "results.parquet", "summary.json", "thumbnail.jpg")

SETTINGS: Mapping[str, object] = {
    "admin_name": ADMIN.name,
    "admin_password": ADMIN.password,
    "claim_seconds": 1,
    "quota_tasks": 8,
    "requests_a_minute": 1_000_000,
    "login_attempts_a_minute": 1_000_000,
}

_GONE_SECONDS = 60.0


@asynccontextmanager
async def calling(backend: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one backend."""
    async with httpx.AsyncClient(base_url=backend.url, timeout=60) as client:
        yield client


async def logged_in(client: httpx.AsyncClient, who: Person = ADMIN) -> Headers:
    """Their headers."""
    answer = await client.post("/api/v1/login", json=who._asdict())
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def let_in(client: httpx.AsyncClient, *people: Person) -> list[Headers]:
    """Accounts for them; their headers."""
    admin = await logged_in(client)
    for who in people:
        answer = await client.post("/api/v1/users", json=who._asdict(), headers=admin)
        assert answer.status_code == 201, answer.text
    return [await logged_in(client, who) for who in people]


async def downloaded(client: httpx.AsyncClient, who: Headers, task_id: str, folder: Path) -> Path:
    """A task's files, in a folder of its name."""
    place = folder / task_id
    place.mkdir(parents=True)
    for name in RESULTS:
        answer = await client.get(f"{TASKS}/{task_id}/files/{name}", headers=who)
        assert answer.status_code == 200, (name, answer.text)
        (place / name).write_bytes(answer.content)
    return place


def undisturbed(video: Path, frames: int, folder: Path) -> Path:
    """The result of `contanos run` at the same settings."""
    run = Run(video, folder, Options(max_frames=frames), Settings(workers=2), folder.name)
    assert run.work(lambda _: None).complete
    return folder


async def assert_right(
    client: httpx.AsyncClient, who: Headers, task_id: str, reference: Path, folder: Path
) -> None:
    """A task is completed, and gave what it gives undisturbed."""
    found = await task(client, who, task_id)
    assert found["state"] == "completed", found
    proof = found["proof"]
    assert proof["complete"], found
    counted = {proof[name] for name in ("read", "published", "detected", "posed", "tracked")}
    assert counted == {proof["annotated"], found["frames"]}, found
    here = await downloaded(client, who, task_id, folder)
    await asyncio.to_thread(assert_same_but_for_the_name, here, reference)
    assert found["bytes"] == sum(each.stat().st_size for each in here.iterdir())


async def nothing_else(data: Path, bus: Bus, kept: Collection[str]) -> None:
    """Of tasks nothing is left but rows and files of `kept`: no order, topic, folder or outcome."""
    deadline = time.monotonic() + _GONE_SECONDS
    while left := on_the_bus(bus, kept) + files_left(data, set(kept)):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)


def on_the_bus(bus: Bus, kept: Collection[str]) -> list[str]:
    """What there is of tasks, save the outcomes of `kept`."""
    found = [each for each in bus.topics() if not each.startswith(DUTY_PREFIX)]
    found += [f"order of {each}" for each in bus.table("orders").items()]
    found += [f"begun: {each}" for each in bus.table("tasks").items()]
    return found + [
        f"outcome of {each}" for each in bus.table("outcomes").items() if each not in kept
    ]


def files_left(data: Path, kept: set[str]) -> list[str]:
    """Files that no row speaks of, and files that are missing."""
    with closing(sqlite3.connect(data / "contanos.db")) as database:
        rows = {each[0] for each in database.execute("SELECT id FROM tasks")}
        uploads = dict(database.execute("SELECT id, state FROM uploads"))
    there = {f"{each.parent.name}/{each.name}" for each in _files(data / "files" / "results")}
    wanted = {f"{task_id}/{name}" for task_id in kept for name in RESULTS}
    videos = {each.name for each in _files(data / "files" / "uploads")}
    ready = {key for key, state in uploads.items() if state == "ready"}
    coming = {each.name for each in _files(data / "incoming") if each.suffix != ".lock"}
    odd = [f"row {each}" for each in rows ^ kept]
    odd += [f"result {each}" for each in there ^ wanted]
    odd += [f"folder of {each.name}" for each in (data / "work").glob("*")]
    odd += [f"upload {each}" for each in videos ^ ready]
    return odd + [f"on its way: {each}" for each in coming]


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]
