"""The platform as its users have it: HTTP in front, real Kafka behind, each service a process."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest

from contanos.bus import Bus, open_bus
from contanos.testing.kafka import Broker
from tests.backend.clients import ADA, BOB, Person
from tests.backend.postgresql import new_database, postgresql_server
from tests.backend.tasks import FINAL, TASKS, in_state, made, task, uploaded
from tests.backend.videos import Headers
from tests.services.installation import SESSION_SECONDS, Installation, Service
from tests.services.members import fresh_namespace
from tests.services.strikes import Account
from tests.services.users import (
    SETTINGS,
    assert_right,
    calling,
    let_in,
    logged_in,
    nothing_else,
    on_the_bus,
    undisturbed,
)

__all__ = ["postgresql_server"]

pytestmark = pytest.mark.anyio

CAROL = Person("carol", "counts-the-frames")
LIMITS = {"running_tasks": 5, "quota_tasks": 2}
FRAMES = 10
KILLS = 3
SEED = 20261126


@pytest.fixture(scope="module")
def url(broker: Broker) -> str:
    return fresh_namespace(broker.url)


@pytest.fixture(scope="module")
def installation(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("platform")
    with Installation(url, folder, grace_seconds=1, **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def bus(installation: Installation, url: str) -> Iterator[Bus]:
    """The one that the services talk over, to look at."""
    bus = open_bus(url)
    yield bus
    bus.close()


@pytest.fixture(scope="module")
def reference(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sample's first frames give undisturbed."""
    return undisturbed(demo_video, FRAMES, tmp_path_factory.mktemp("undisturbed") / "demo")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def backend_of(installation: Installation) -> Service:
    return installation.of("backend")[-1]


async def test_two_users_at_once_each_get_their_own(
    installation: Installation,
    bus: Bus,
    reference: Path,
    demo_video: Path,
    vtest_video: Path,
    tmp_path: Path,
) -> None:
    other = await asyncio.to_thread(undisturbed, vtest_video, 2 * FRAMES, tmp_path / "vtest")
    async with calling(backend_of(installation)) as client:
        ada, bob = await let_in(client, ADA, BOB)
        demo, vtest = await asyncio.gather(
            uploaded(client, ada, demo_video.read_bytes()),
            uploaded(client, bob, vtest_video.read_bytes()),
        )
        mine, theirs = await asyncio.gather(
            made(client, ada, demo, options={"max_frames": FRAMES}),
            made(client, bob, vtest, options={"max_frames": 2 * FRAMES}),
        )
        for who, upload_id, own, foreign in (
            (ada, demo, mine, theirs["id"]),
            (bob, vtest, theirs, mine["id"]),
        ):
            await in_state(client, who, own["id"], "completed")
            await sees_only(client, who, own["id"], foreign)
            wish = {"upload_id": vtest if upload_id == demo else demo}
            assert (await client.post(TASKS, headers=who, json=wish)).status_code == 404
        await assert_right(client, ada, mine["id"], reference, tmp_path / "ada")
        await assert_right(client, bob, theirs["id"], other, tmp_path / "bob")
        kept = {mine["id"], theirs["id"]}
        await nothing_else(installation.folder / "data", bus, kept)
        for who, own in ((ada, mine), (bob, theirs)):
            assert (await client.delete(f"{TASKS}/{own['id']}", headers=who)).is_success
        await nothing_else(installation.folder / "data", bus, ())


async def sees_only(client: httpx.AsyncClient, who: Headers, own: str, foreign: str) -> None:
    listed = (await client.get(TASKS, headers=who)).json()["items"]
    assert [each["id"] for each in listed] == [own]
    for path in ("", "/files/results.parquet", "/files/annotated.mp4", "/frames", "/events"):
        answer = await client.get(f"{TASKS}/{foreign}{path}", headers=who)
        assert answer.status_code == 404, path


class Begun:
    """Watches how many batches of a stage have begun.

    Attributes:
        count: so many.
        last: when that was last seen to grow, or a moment before: it was not later.
    """

    def __init__(self, installation: Installation, stage: str) -> None:
        (service,) = installation.of(stage)
        self._url = f"{service.url}/metrics"
        self._line = re.compile(rf'^contanos_batch_units_count{{stage="{stage}"}} (\S+)', re.M)
        self.count = 0.0
        self.last = 0.0

    async def watch(self) -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            before = time.monotonic()
            while True:
                asked = time.monotonic()
                found = self._line.search((await client.get(self._url)).text)
                count = float(found[1]) if found else 0.0
                if count != self.count:
                    self.count, self.last = count, before
                before = asked
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("keep", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_a_cancel_stops_inference_within_a_second(
    installation: Installation, bus: Bus, demo_video: Path, keep: bool
) -> None:
    begun = {stage: Begun(installation, stage) for stage in ("yolox", "rtmpose")}
    watching = [asyncio.create_task(each.watch()) for each in begun.values()]
    async with calling(backend_of(installation)) as client:
        who = await logged_in(client)
        upload_id = await uploaded(client, who, demo_video.read_bytes())
        before = begun["rtmpose"].count
        task_id = (await made(client, who, upload_id))["id"]
        async with asyncio.timeout(60):
            while begun["rtmpose"].count < before + 24:
                await asyncio.sleep(0.01)
        place = f"{TASKS}/{task_id}/cancel"
        answer = await client.post(place, params={"keep": keep}, headers=who)
        assert answer.status_code == 200
        asked = time.monotonic()
        found = await in_state(client, who, task_id, "cancelled")
        over = time.monotonic() - asked
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        last = {stage: round(each.last - asked, 3) for stage, each in begun.items()}
        print(f"last batch begun: {last}; cancelled after {over:.2f} s: {found['proof']}")
        assert max(last.values()) < 1.0
        if keep:
            proof = found["proof"]
            assert proof["annotated"] == proof["tracked"] == found["frames"] < 230
        assert bool(found["bytes"]) == keep
        assert (await client.delete(f"{TASKS}/{task_id}", headers=who)).is_success
        await nothing_else(installation.folder / "data", bus, ())


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", [KILLS, pytest.param(60, marks=pytest.mark.long)])
async def test_a_backend_that_is_killed_forgets_nothing_and_leaves_nothing(
    installation: Installation,
    bus: Bus,
    reference: Path,
    demo_video: Path,
    tmp_path: Path,
    kills: int,
) -> None:
    data = installation.folder / "data"
    account = Account(data, demo_video, FRAMES, SEED + kills)
    for number in range(kills):
        backend = backend_of(installation)
        async with calling(backend) as client:
            await account.strike(client, await logged_in(client), number)
            installation.kill(backend)
        installation.await_ready(installation.start("backend"))
    async with calling(backend_of(installation)) as client:
        who = await logged_in(client)
        await account.settle(client, who)
        await account.all_completed()
        await nothing_else(data, bus, account.accepted)
        for each in sorted(account.accepted):
            await assert_right(client, who, each, reference, tmp_path)
        for each in account.deleted:
            assert (await client.get(f"{TASKS}/{each}", headers=who)).status_code == 404
        print(f"{kills} kills: {dict(Counter(account.reached))}; {len(account.accepted)} tasks")
        for each in account.accepted:
            assert (await client.delete(f"{TASKS}/{each}", headers=who)).is_success
        await nothing_else(data, bus, ())


@pytest.mark.long
async def test_tasks_wait_for_a_broker_that_is_away(
    installation: Installation,
    broker: Broker,
    bus: Bus,
    reference: Path,
    demo_video: Path,
    tmp_path: Path,
) -> None:
    """Nothing else waits for it, however many tasks do."""
    data = demo_video.read_bytes()
    async with calling(backend_of(installation)) as client:
        who = await logged_in(client)
        upload_id = await uploaded(client, who, data)
        wish: dict[str, Any] = {"options": {"max_frames": FRAMES}}
        first = (await made(client, who, upload_id, **wish))["id"]
        ended = (await made(client, who, upload_id))["id"]
        await in_state(client, who, ended, "running")
        await asyncio.sleep(1)
        broker.stop()
        late = [(await made(client, who, upload_id, **wish))["id"] for _ in range(6)]
        await asyncio.sleep(2)
        async with asyncio.timeout(20):
            answer = await client.post(f"{TASKS}/{ended}/cancel?keep=false", headers=who)
            assert answer.status_code == 200
            assert (await task(client, who, late[0]))["state"] == "running"
            await logged_in(client)
            await uploaded(client, who, data)
        broker.start()
        await in_state(client, who, ended, "cancelled")
        for each in (first, *late):
            await in_state(client, who, each, "completed")
            await assert_right(client, who, each, reference, tmp_path)
        for each in (first, ended, *late):
            assert (await client.delete(f"{TASKS}/{each}", headers=who)).is_success
        await nothing_else(installation.folder / "data", bus, ())


@pytest.fixture
def pair(
    installation: Installation, postgresql_server: str, tmp_path: Path
) -> tuple[str, list[Service]]:
    """Two backends on one PostgreSQL from now on, not the one on SQLite; the database's URL."""
    database = new_database(postgresql_server)
    installation.kill(backend_of(installation))
    shared = LIMITS | {"database_url": database, "data_dir": tmp_path / "shared"}
    backends = [installation.start("backend", **shared) for _ in range(2)]
    installation.await_ready(*backends)
    return database, backends


class Samples:
    """What a database says of tasks, looked at all the time.

    Attributes:
        most: tasks that ran at once; of one user, at most.
        begun: when each task began; more than once is once too often.
        ended: tasks that are over.
    """

    def __init__(self, url: str) -> None:
        self.most, self.most_of_one = 0, 0
        self.begun: dict[str, set[Any]] = {}
        self.ended: set[str] = set()
        self._url = url

    async def watch(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            while True:
                self._look(await connection.fetch("SELECT id, user_id, state, started FROM tasks"))
                await asyncio.sleep(0.005)
        finally:
            await connection.close()

    async def until(self, ended: int) -> None:
        async with asyncio.timeout(180):
            while len(self.ended) < ended:
                await asyncio.sleep(0.02)

    def _look(self, rows: list[Any]) -> None:
        running = Counter(each["user_id"] for each in rows if each["state"] == "running")
        self.most = max(self.most, running.total())
        self.most_of_one = max(self.most_of_one, *running.values(), 0)
        for each in rows:
            if each["started"]:
                self.begun.setdefault(each["id"], set()).add(each["started"])
        self.ended |= {each["id"] for each in rows if each["state"] in FINAL}


async def test_two_backends_run_no_task_twice(
    installation: Installation,
    pair: tuple[str, list[Service]],
    bus: Bus,
    reference: Path,
    demo_video: Path,
    tmp_path: Path,
) -> None:
    """One of them is away longer than its claims last, and comes back; then the other dies."""
    database, (first, second) = pair
    written: Counter[tuple[str, str]] = Counter()

    def told(table: str, key: str, value: bytes | None) -> None:
        written[table, key] += value is not None

    for table in ("orders", "tasks"):
        bus.table(table).follow(partial(told, table))
    samples = Samples(database)
    watching = asyncio.create_task(samples.watch())
    async with calling(first) as one, calling(second) as other:
        users = await let_in(one, ADA, BOB, CAROL)
        videos = [await uploaded(other, who, demo_video.read_bytes()) for who in users]
        options = {"max_frames": FRAMES}
        owners = {
            (await made(client, who, video, options=options))["id"]: who
            for client in (one, other, one, other)
            for who, video in zip(users, videos, strict=True)
        }
    await samples.until(3)
    first.freeze()
    await asyncio.sleep(SESSION_SECONDS + 1)
    first.thaw()
    await samples.until(7)
    installation.kill(second)
    await samples.until(len(owners))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    async with calling(first) as client:
        for task_id, who in owners.items():
            await assert_right(client, who, task_id, reference, tmp_path)
            assert (await client.delete(f"{TASKS}/{task_id}", headers=who)).is_success
        async with asyncio.timeout(60):
            while on_the_bus(bus, ()):
                await asyncio.sleep(0.1)
    assert samples.most == LIMITS["running_tasks"]
    assert samples.most_of_one == LIMITS["quota_tasks"]
    assert {task_id: len(moments) for task_id, moments in samples.begun.items()} == dict.fromkeys(
        owners, 1
    )
    runs = {each: (written["orders", each], written["tasks", each]) for each in owners}
    assert runs == dict.fromkeys(owners, (1, 1))
    assert not list((tmp_path / "shared" / "work").glob("*"))
