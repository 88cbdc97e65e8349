"""What nobody comes back for is removed, what was cut off is gone on with, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.backend.clients import ADMIN, Server
from tests.backend.sources import video_site
from tests.backend.test_uploads import files_of, stored
from tests.backend.videos import UPLOADS, begin, checked, offset, send, send_form, video
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import Upload, UploadState, User
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.uploads.faults import TooLarge
from video_analysis.backend.uploads.room import admit, grow, stored_bytes
from video_analysis.backend.uploads.sweeper import Sweeper

pytestmark = pytest.mark.anyio


async def age(server: Server, upload_id: str, hours: float) -> None:
    """Let so much time pass for an upload."""
    then = now() - timedelta(hours=hours)
    async with server.state.database.transaction() as session:
        await session.execute(update(Upload).where(Upload.id == upload_id).values(touched=then))


async def add_row(
    server: Server, source: str, state: UploadState, size: int, place: str | None = None
) -> str:
    """As a process that died left it."""
    async with server.state.database.transaction() as session:
        user = await session.scalar(select(User.id))
        upload = Upload(user_id=user, label="", source=source, state=state, bytes=size, place=place)
        session.add(upload)
    return upload.id


async def ids(server: Server) -> set[str]:
    async with server.state.database.reading() as session:
        return set(await session.scalars(select(Upload.id)))


async def sweep_until_left(server: Server, wanted: set[str]) -> None:
    """What the server's own sweep holds at the moment is left to it."""
    async with asyncio.timeout(20):
        await Sweeper(server.state).sweep()
        while await ids(server) != wanted:
            await asyncio.sleep(0.02)
            await Sweeper(server.state).sweep()


async def test_what_was_not_finished_in_time_is_removed(
    server: Server, settings: BackendSettings
) -> None:
    who = await server.log_in(ADMIN)
    old, young = [await begin(server.client, who, 100) for _ in range(2)]
    for place in (old, young):
        await send(server.client, who, place, 0, b"x" * 10)
    await age(server, old[-24:], settings.upload_hours + 0.1)
    await age(server, young[-24:], settings.upload_hours - 0.1)
    await sweep_until_left(server, {young[-24:]})
    async with asyncio.timeout(20):  # a row goes before its bytes
        while [each for each in files_of(settings) if "lock" not in each] != [young[-24:]]:
            await asyncio.sleep(0.02)
    assert await offset(server.client, who, young) == 10


async def test_who_is_still_sending_is_left_alone(
    server: Server, settings: BackendSettings
) -> None:
    who = await server.log_in(ADMIN)
    place = await begin(server.client, who, 100)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 10
        held.set()
        await go_on.wait()
        yield b"x" * 10

    sending = asyncio.create_task(send(server.client, who, place, 0, slowly()))
    await held.wait()
    await age(server, place[-24:], settings.upload_hours + 1)
    await Sweeper(server.state).sweep()
    go_on.set()
    assert (await sending).headers["Upload-Offset"] == "20"


async def test_bytes_without_a_row_are_removed_and_no_others(
    server: Server, settings: BackendSettings, tmp_path: Path
) -> None:
    who = await server.log_in(ADMIN)
    made = await send_form(server.client, who, video(tmp_path))
    found = await checked(server.client, who, made.json()["id"])
    place = await begin(server.client, who, 100)
    await send(server.client, who, place, 0, b"x" * 10)
    incoming, kept = settings.data_dir / "incoming", settings.data_dir / "files" / "uploads"
    (incoming / "0badcafe").write_bytes(b"left")
    (incoming / "0badcafe.lock").touch()
    (incoming / found["id"]).write_bytes(b"left")
    (kept / "0badbeef").write_bytes(b"left")
    (kept / place[-24:]).write_bytes(b"left")
    result = settings.data_dir / "files" / "results" / "0badcafe" / "summary.json"
    result.parent.mkdir(parents=True)
    result.write_bytes(b"not ours to judge")
    await Sweeper(server.state).sweep()
    mine = [place[-24:], f"{place[-24:]}.lock"]
    assert files_of(settings) == sorted([*mine, found["id"], "summary.json"])
    assert await stored(server, found["id"])
    assert (incoming / place[-24:]).read_bytes() == b"x" * 10


async def test_a_form_that_was_cut_off_is_removed(
    server: Server, settings: BackendSettings
) -> None:
    left = await add_row(server, "form", "receiving", 100)
    (settings.data_dir / "incoming").mkdir(exist_ok=True)
    (settings.data_dir / "incoming" / left).write_bytes(b"x" * 10)
    await sweep_until_left(server, set())
    async with asyncio.timeout(20):
        while files_of(settings):  # a row goes before its bytes
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("state", ["receiving", "checking"])
async def test_what_was_whole_is_checked(
    server: Server, settings: BackendSettings, tmp_path: Path, state: UploadState
) -> None:
    """Its last byte came, or its check began, before the process died."""
    who, data = await server.log_in(ADMIN), video(tmp_path)
    left = await add_row(server, "tus", state, len(data))
    (settings.data_dir / "incoming").mkdir(exist_ok=True)
    (settings.data_dir / "incoming" / left).write_bytes(data)
    await Sweeper(server.state).sweep()
    assert (await checked(server.client, who, left))["state"] == "ready"
    assert await stored(server, left) == data


async def test_what_was_kept_before_it_was_noted_is_checked_again(
    server: Server, settings: BackendSettings, tmp_path: Path
) -> None:
    who, data = await server.log_in(ADMIN), video(tmp_path)
    kept, gone = [await add_row(server, "tus", "checking", len(data)) for _ in range(2)]
    path = tmp_path / "kept"
    path.write_bytes(data)
    await server.state.storage.keep(f"uploads/{kept}", path)
    await Sweeper(server.state).sweep()
    assert (await checked(server.client, who, kept))["state"] == "ready"
    assert "upload it again" in (await checked(server.client, who, gone))["cause"]


async def test_what_was_being_fetched_is_fetched(
    server: Server, settings: BackendSettings, tmp_path: Path
) -> None:
    who, data = await server.log_in(ADMIN), video(tmp_path)
    with video_site(data) as site:
        object.__setattr__(settings, "source_prefixes", (site.url,))
        left = await add_row(server, "url", "receiving", 9, f"{site.url}/videos/walk.mp4")
        (settings.data_dir / "incoming").mkdir(exist_ok=True)
        (settings.data_dir / "incoming" / left).write_bytes(b"half of what was there")
        await Sweeper(server.state).sweep()
        assert (await checked(server.client, who, left))["state"] == "ready"
    assert await stored(server, left) == data


async def test_refusals_are_forgotten_in_time(server: Server, settings: BackendSettings) -> None:
    who = await server.log_in(ADMIN)
    made = await send_form(server.client, who, b"no video")
    await checked(server.client, who, made.json()["id"])
    await Sweeper(server.state).sweep()
    assert (await server.client.get(f"{UPLOADS}/{made.json()['id']}", headers=who)).is_success
    await age(server, made.json()["id"], settings.upload_hours + 0.1)
    await sweep_until_left(server, set())


async def test_two_promises_at_once_on_either_database(
    database: Database, settings: BackendSettings
) -> None:
    small = settings.model_copy(update={"quota_bytes": 100})
    async with database.transaction() as session:
        user = User(name="ada", password="-", role="user")
        session.add(user)

    async def promise() -> bool:
        try:
            row = Upload(user_id=user.id, label="", source="tus", state="receiving", bytes=30)
            await admit(database, small, row)
        except TooLarge:
            return False
        return True

    assert sorted(await asyncio.gather(*(promise() for _ in range(8)))) == [False] * 5 + [True] * 3
    async with database.reading() as session:
        assert await stored_bytes(session, user.id) == 90
        rows = (await session.scalars(select(Upload.id))).all()

    async def enlarge(upload_id: str) -> bool:
        try:
            await grow(database, small, upload_id, 36)
        except TooLarge:
            return False
        return True

    grown = await asyncio.gather(*map(enlarge, rows))
    assert sum(grown) == 1
