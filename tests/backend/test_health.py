"""Whether it works, for anybody; and how full everything is, for administrators."""

import asyncio
import shutil
from typing import Any

import pytest
from sqlalchemy import text

from contanos import __version__
from tests.backend.clients import ADA, ADMIN, BOB, Server
from tests.backend.surrounded import surrounded
from tests.backend.videos import begin
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import TaskRow, TaskState
from video_analysis.backend.reach import Reach
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

HEALTH, OVERVIEW = "/api/v1/health", "/api/v1/admin/overview"


async def health(server: Server) -> tuple[int, dict[str, Any]]:
    answer = await server.client.get(HEALTH)
    return answer.status_code, answer.json()


async def test_all_is_reached(server: Server) -> None:
    status, told = await health(server)
    assert status == 200
    assert told == {
        "healthy": True,
        "version": __version__,
        "database": True,
        "storage": True,
        "bus": True,
    }


async def test_a_bus_that_is_away_is_said(server: Server) -> None:
    server.state.desk.bus.close()
    status, told = await health(server)
    assert status == 503
    assert [name for name in ("healthy", "database", "storage", "bus") if not told[name]] == [
        "healthy",
        "bus",
    ]


async def test_a_storage_that_is_away_is_said_without_its_place(
    server: Server, settings: BackendSettings
) -> None:
    files = settings.data_dir / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.write_bytes(b"a file where a folder should be")
    answer = await server.client.get(HEALTH)
    assert answer.status_code == 503
    assert not answer.json()["storage"]
    assert str(settings.data_dir) not in answer.text


async def test_a_database_that_is_not_ours_any_more_is_said(server: Server) -> None:
    async with server.state.database.transaction() as session:
        await session.execute(text("ALTER TABLE users RENAME TO others"))
    status, told = await health(server)
    assert (status, told["database"]) == (503, False)


async def test_many_who_ask_cost_one_look(server: Server) -> None:
    looks = 0
    ready = server.state.desk.bus.ready
    reach = Reach(server.state, clock=lambda: float(looks))

    def counting() -> None:
        nonlocal looks
        looks += 1
        ready()

    server.state.desk.bus.ready = counting  # type: ignore[method-assign]
    found = await asyncio.gather(*(reach.look() for _ in range(50)))
    assert all(each.all for each in found)
    assert looks == 1


async def test_the_overview_sums_up(settings: BackendSettings) -> None:
    async with surrounded(settings) as server:
        ada, bob = await server.let_in(ADA), await server.let_in(BOB)
        await begin(server.client, await server.log_in(ADA), 1000)
        await begin(server.client, await server.log_in(BOB), 700)
        await begin(server.client, await server.log_in(BOB), 7)
        await add_task(server, ada, "cancelled", 0)
        await add_task(server, ada, "completed", 50)
        await add_task(server, bob, "completed", 400)
        await add_task(server, bob, "completed", 0, deleted=now())
        root = await server.log_in(ADMIN)
        found = (await server.client.get(OVERVIEW, headers=root)).json()
    assert found["version"] == __version__
    assert found["users"] == {"admin": 1, "user": 2}
    assert found["tasks"] == {"cancelled": 1, "completed": 2}
    stored = [(each["user_id"], each["name"], each["bytes"]) for each in found["stored"]]
    assert stored[:2] == [(bob, "bob", 1107), (ada, "ada", 1050)]
    assert stored[2][1:] == (ADMIN.name, 0)
    free = shutil.disk_usage(settings.data_dir).free
    assert abs(found["disk_free"] - free) < free / 10
    assert found["database"] and found["storage"] and found["bus"]


async def add_task(
    server: Server, user_id: str, state: TaskState, size: int, **fields: Any
) -> None:
    async with server.state.database.transaction() as session:
        row = TaskRow(user_id=user_id, label="", state=state, options={}, bytes=size, **fields)
        session.add(row)
