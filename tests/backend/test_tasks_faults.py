"""Tasks while servers die at every step, come back late, and the disk or the database is away."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.backend.clients import ADMIN, Server, serving
from tests.backend.held import Held, Point, after, before
from tests.backend.postgresql import PostgreSQL, programs
from tests.backend.tasks import TASKS, in_state, made, task, uploaded
from tests.backend.videos import UPLOADS, Headers, video
from tests.services.rounds import assert_same_but_for_the_name
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage.folder import FolderStorage
from video_analysis.backend.tasks import books, dispatch, keep
from video_analysis.backend.tasks.work import Work
from video_analysis.control.desk import Desk

pytestmark = pytest.mark.anyio

FRAMES = 12
MOST = 100  # of a task
FILES = ("annotated.mp4", "results.parquet", "thumbnail.jpg", "summary.json")  # as they are kept


@pytest.fixture
def settings(settings: BackendSettings) -> BackendSettings:
    """Whose tasks pass to the next server at once."""
    return settings.model_copy(update={"claim_seconds": 0.2})


@asynccontextmanager
async def held_at(settings: BackendSettings, desk: Desk, point: Point) -> AsyncIterator[Server]:
    """A server that dies once it has come to a point; the block runs before."""
    with pytest.MonkeyPatch.context() as patch:
        held = Held(point)
        held.wait_with(patch)
        async with serving(settings, desk) as server:
            yield server
            await held.reached()
        held.end()


async def die_at(settings: BackendSettings, desk: Desk, points: Iterable[Point]) -> None:
    """One server after another, each dead at the next point."""
    for point in points:
        async with held_at(settings, desk, point):
            pass


def results_of(settings: BackendSettings, task_id: str) -> Path:
    return settings.data_dir / "files" / "results" / task_id


def files(folder: Path) -> set[str]:
    return {each.name for each in folder.rglob("*") if each.is_file()}


async def nothing_left(server: Server, settings: BackendSettings, *kept: str) -> None:
    """No folder of a task that runs, no results but those of `kept`, all of theirs."""
    async with asyncio.timeout(20):
        while await server.state.office.work.ids():
            await asyncio.sleep(0.05)
    found = settings.data_dir / "files" / "results"
    assert {each.parent.name for each in found.rglob("*") if each.is_file()} == set(kept)
    for each in kept:
        assert files(results_of(settings, each)) == set(FILES)


async def gone(server: Server, task_id: str) -> None:
    desk = server.state.desk
    async with asyncio.timeout(30):
        while (
            await books.read(server.state.database, task_id)
            or desk.ordered(task_id)
            or desk.outcome(task_id)
            or [each for each in desk.bus.topics() if each.endswith(task_id)]
        ):
            await asyncio.sleep(0.05)


async def begin(
    server: Server, data: bytes, then: Callable[[], object] = lambda: None, frames: int = MOST
) -> tuple[Headers, str, str]:
    """Somebody's headers, an upload and its task, which waits for its turn; `then` between both."""
    who = await server.log_in(ADMIN)
    upload_id = await uploaded(server.client, who, data)
    then()
    task = await made(server.client, who, upload_id, options={"max_frames": frames})
    return who, upload_id, task["id"]


async def test_servers_die_at_every_step_of_a_task(
    settings: BackendSettings, stages: Desk, demo_video: Path
) -> None:
    async with held_at(settings, stages, before(Work, "bring")) as server:
        who, _, task_id = await begin(server, demo_video.read_bytes(), frames=FRAMES)
        await in_state(server.client, who, task_id, "running")
    to_order = [after(Work, "bring"), before(Desk, "order"), after(Desk, "order")]
    to_files = [before(FolderStorage, "keep"), *[after(FolderStorage, "keep")] * len(FILES)]
    to_end = [before(books, "close"), after(books, "close")]
    await die_at(settings, stages, to_order + to_files[:2])
    (results_of(settings, task_id) / ".results.parquet.0badcafe.partial").write_bytes(b"cut off")
    await die_at(settings, stages, to_files[2:] + to_end)
    async with serving(settings, stages) as server:
        found = await in_state(server.client, who, task_id, "completed")
        assert found["proof"]["complete"]
        assert found["proof"]["read"] == found["frames"] == FRAMES
        again = await server.client.post(f"{TASKS}/{task_id}/retry", headers=who)
        undisturbed = again.json()["id"]
        same = await in_state(server.client, who, undisturbed, "completed")
        # Summaries say how long it took, which makes them differ by some bytes.
        assert abs(found["bytes"] - same["bytes"]) < 200
        await nothing_left(server, settings, task_id, undisturbed)
    one, other = results_of(settings, task_id), results_of(settings, undisturbed)
    assert_same_but_for_the_name(one, other)


async def test_servers_die_at_every_step_of_a_deletion(
    settings: BackendSettings, stages: Desk, tmp_path: Path
) -> None:
    async with serving(settings, stages) as server:
        who, upload_id, task_id = await begin(server, video(tmp_path))
        other = (await made(server.client, who, upload_id))["id"]
        for each in (task_id, other):
            await in_state(server.client, who, each, "completed")
    async with held_at(settings, stages, before(FolderStorage, "remove")) as server:
        assert (await server.client.delete(f"{TASKS}/{task_id}", headers=who)).is_success
    removal = [after(FolderStorage, "remove"), after(Work, "remove")]
    last = [before(Desk, "forget"), after(Desk, "forget"), after(books, "remove")]
    await die_at(settings, stages, removal + last)
    async with serving(settings, stages) as server:
        assert (await task(server.client, who, other))["state"] == "completed"
        assert (await server.client.get(f"{TASKS}/{task_id}", headers=who)).status_code == 404
        await gone(server, task_id)
        await nothing_left(server, settings, other)


async def test_servers_die_while_a_running_task_is_deleted(
    settings: BackendSettings, stages: Desk, demo_video: Path
) -> None:
    """Before the stages hear of it, then before its end is written down, then after."""
    async with held_at(settings, stages, before(Desk, "cancel")) as server:
        who, _, task_id = await begin(server, demo_video.read_bytes())
        async with asyncio.timeout(60):
            while not (await task(server.client, who, task_id))["frames"]:
                await asyncio.sleep(0.05)
        deleting = asyncio.create_task(server.client.delete(f"{TASKS}/{task_id}", headers=who))
        await asyncio.sleep(0)
    await asyncio.gather(deleting, return_exceptions=True)
    points = [before(books, "close"), after(books, "close"), before(Desk, "forget")]
    await die_at(settings, stages, points)
    async with serving(settings, stages) as server:
        await gone(server, task_id)
        await nothing_left(server, settings)


async def test_a_cancel_and_a_bus_that_dies_keep_what_there_is(
    settings: BackendSettings, stages: Desk, tmp_path: Path
) -> None:
    """On memory:// the order dies with the server; what was finished is still in the folder."""
    async with held_at(settings, stages, after(FolderStorage, "keep", 3)) as server:
        who, _, task_id = await begin(server, video(tmp_path, FRAMES))
        async with asyncio.timeout(60):
            while files(results_of(settings, task_id)) != {"annotated.mp4", "results.parquet"}:
                await asyncio.sleep(0.01)
        answer = await server.client.post(f"{TASKS}/{task_id}/cancel", headers=who)
        assert answer.json()["cancelling"]
    async with serving(settings) as server:  # on another bus, where nobody knows of it
        found = await in_state(server.client, who, task_id, "cancelled")
        assert found["frames"] == FRAMES
        await nothing_left(server, settings, task_id)


ZOMBIES = [before(keep, "read_summary"), before(books, "close")]
MORE_ZOMBIES = [
    after(Work, "bring"),
    after(books, "held"),
    before(keep, "write_summary"),
    before(FolderStorage, "keep"),
    after(FolderStorage, "keep", 4),
]


@pytest.mark.parametrize(
    "point",
    [*ZOMBIES, *(pytest.param(each, marks=pytest.mark.long) for each in MORE_ZOMBIES)],
    ids=str,
)
async def test_a_server_that_was_taken_for_dead_does_no_harm(
    settings: BackendSettings, stages: Desk, tmp_path: Path, point: Point
) -> None:
    orders: list[str] = []
    stages.bus.table("orders").follow(lambda key, value: orders.append(key) if value else None)
    zombie = Held(point)
    with pytest.MonkeyPatch.context() as patch:
        async with serving(settings, stages) as late:
            data = video(tmp_path, FRAMES)
            who, _, task_id = await begin(late, data, lambda: zombie.wait_with(patch))
            await zombie.reached()
            async with serving(settings, stages) as heir:
                ours = heir.state.office.name
                async with heir.state.database.transaction() as session:
                    stolen = update(TaskRow).where(TaskRow.id == task_id)
                    far = now().replace(year=9000)
                    await session.execute(stolen.values(claimed_by=ours, claimed_until=far))
                found = await in_state(heir.client, who, task_id, "completed")
                zombie.let_go()
                await asyncio.sleep(1.5)
                assert await task(heir.client, who, task_id) == found
                assert orders.count(task_id) == 1
                heir.state.office.wake()
                await late.state.office.sweep()
                await nothing_left(heir, settings, task_id)


async def test_a_cancel_while_its_turn_comes_is_not_undone(
    settings: BackendSettings, postgresql: str, tmp_path: Path
) -> None:
    """Where writers do not wait for each other: not on SQLite."""
    settings = settings.model_copy(update={"database_url": postgresql})
    with pytest.MonkeyPatch.context() as patch:
        async with serving(settings) as server:
            who = await server.log_in(ADMIN)
            upload_id = await uploaded(server.client, who, video(tmp_path))
            deciding = Held(after(dispatch, "share_of"))
            deciding.wait_with(patch)
            waiting = await made(server.client, who, upload_id)
            await deciding.reached()
            answer = await server.client.post(f"{TASKS}/{waiting['id']}/cancel", headers=who)
            assert answer.json()["state"] == "cancelled"
            deciding.let_go()
            await asyncio.sleep(1)
            found = await task(server.client, who, waiting["id"])
            assert found == answer.json()


async def test_a_video_is_not_deleted_while_its_task_waits(
    settings: BackendSettings, stages: Desk, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"running_tasks": 1})
    async with serving(settings, stages) as server:
        who, upload_id, first = await begin(server, video(tmp_path, 60))
        second = (await made(server.client, who, upload_id))["id"]
        refused = await server.client.delete(f"{UPLOADS}/{upload_id}", headers=who)
        assert refused.status_code == 409
        for each in (first, second):
            await in_state(server.client, who, each, "completed")
        assert (await server.client.delete(f"{UPLOADS}/{upload_id}", headers=who)).is_success
        await nothing_left(server, settings, first, second)


async def test_a_video_that_vanished_from_the_storage_fails_its_task(
    settings: BackendSettings, stages: Desk, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"running_tasks": 1})
    async with serving(settings, stages) as server:
        who, upload_id, first = await begin(server, video(tmp_path, 60))
        async with asyncio.timeout(60):
            while not (settings.data_dir / "work" / first / "video").exists():
                await asyncio.sleep(0.01)
        second = (await made(server.client, who, upload_id))["id"]
        (settings.data_dir / "files" / "uploads" / upload_id).unlink()
        await in_state(server.client, who, first, "completed")  # it has a name of its own for it
        found = await in_state(server.client, who, second, "failed")
        assert found["cause"] == "its video is not there any more: upload it again"
        await nothing_left(server, settings, first)


@pytest.fixture
def small_disk(settings: BackendSettings) -> Iterator[Path]:
    """Sixteen mebibytes for everything that the server has."""
    place = settings.data_dir
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED ON A FULL DISK: mounting one needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is left of a disk."""
    filler = folder / "_filler"  # no name of a task
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError("the disk is not full")


async def test_results_wait_for_room_on_the_disk(
    small_disk: Path, settings: BackendSettings, stages: Desk, tmp_path: Path
) -> None:
    """Not even the database can write any more; reading goes on."""
    with pytest.MonkeyPatch.context() as patch:
        ending = Held(before(keep, "read_summary"))
        ending.wait_with(patch)
        async with serving(settings, stages) as server:
            who, _, task_id = await begin(server, video(tmp_path, FRAMES))
            await ending.reached()
            filler = fill(small_disk)
            ending.let_go()
            await asyncio.sleep(3)
            found = await task(server.client, who, task_id)
            assert found["state"] == "running"
            assert files(results_of(settings, task_id)) == set()
            filler.unlink()
            found = await in_state(server.client, who, task_id, "completed")
            assert found["proof"]["complete"]
            assert found["reason"] is None
            await nothing_left(server, settings, task_id)


async def test_a_storage_that_is_full_is_waited_for_and_users_read_that(
    settings: BackendSettings, stages: Desk, tmp_path: Path
) -> None:
    place = settings.data_dir / "files" / "results"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED ON A FULL DISK: mounting one needs root")
    try:
        filler = fill(place)
        async with serving(settings, stages) as server:
            who, _, task_id = await begin(server, video(tmp_path, FRAMES))
            async with asyncio.timeout(60):
                while not (found := await task(server.client, who, task_id))["reason"]:
                    await asyncio.sleep(0.05)
            assert found["state"] == "running"
            assert "tries again" in found["reason"]
            assert files(place) == {"_filler"}
            filler.unlink()
            found = await in_state(server.client, who, task_id, "completed")
            await nothing_left(server, settings, task_id)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def own_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    folder = programs()
    if folder is None:
        pytest.skip("NOT TESTED ON POSTGRESQL: on Debian, apt-get install postgresql")
    with PostgreSQL(folder) as server:
        yield server


async def test_a_database_that_was_restarted_is_used_again(
    settings: BackendSettings, own_postgresql: PostgreSQL, stages: Desk, tmp_path: Path
) -> None:
    url = f"{own_postgresql.url}/postgres"
    settings = settings.model_copy(update={"database_url": url})
    async with serving(settings, stages) as server:
        who, upload_id, first = await begin(server, video(tmp_path, 60))
        await in_state(server.client, who, first, "running")
        own_postgresql.stop()
        answer = await server.client.get(f"{TASKS}/{first}", headers=who)
        assert answer.status_code == 503
        await asyncio.sleep(1)
        own_postgresql.start()
        found = await in_state(server.client, who, first, "completed")
        assert found["proof"]["complete"]
        second = (await made(server.client, who, upload_id))["id"]
        await in_state(server.client, who, second, "completed")
        upload = await uploaded(server.client, who, video(tmp_path, 20))
        assert upload != upload_id
        await nothing_left(server, settings, first, second)
