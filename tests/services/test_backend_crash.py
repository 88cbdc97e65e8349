"""Everything in one process on memory://: it is killed, the bus dies with it, and tasks go on."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backend.clients import ADMIN
from tests.backend.live import WorkingServer
from tests.backend.tasks import TASKS
from tests.services.strikes import Account
from tests.services.users import SETTINGS, assert_right, files_left, logged_in, undisturbed

pytestmark = pytest.mark.anyio

FRAMES = 10
KILLS = 3
SEED = 20261127
_SECONDS = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WorkingServer]:
    with WorkingServer(tmp_path / "data", **SETTINGS) as server:
        yield server


async def nothing_else(data: Path, kept: set[str]) -> None:
    deadline = time.monotonic() + _SECONDS
    while left := files_left(data, kept):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", [KILLS, pytest.param(60, marks=pytest.mark.long)])
async def test_a_process_that_is_killed_forgets_nothing_and_leaves_nothing(
    server: WorkingServer, demo_video: Path, tmp_path: Path, kills: int
) -> None:
    reference = await asyncio.to_thread(undisturbed, demo_video, FRAMES, tmp_path / "demo")
    account = Account(server.data_dir, demo_video, FRAMES, SEED + kills)
    for number in range(kills):
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            await account.strike(client, await logged_in(client, ADMIN), number)
            server.kill()
        server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        who = await logged_in(client, ADMIN)
        await account.settle(client, who)
        await account.all_completed()
        await nothing_else(server.data_dir, account.accepted)
        for each in sorted(account.accepted):
            await assert_right(client, who, each, reference, tmp_path / "found")
        for each in account.deleted:
            assert (await client.get(f"{TASKS}/{each}", headers=who)).status_code == 404
        print(f"{kills} kills: {dict(Counter(account.reached))}; {len(account.accepted)} tasks")
