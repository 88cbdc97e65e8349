"""What happens to tasks, as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.backend.clients import ADA, quiet_desk
from tests.backend.on_air import (
    Event,
    OnAir,
    change,
    events,
    on_air,
    quicker_checks,
    somebody_elses,
)
from video_analysis.backend.database.columns import now
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def air(settings: BackendSettings) -> AsyncIterator[OnAir]:
    async with on_air(settings, quiet_desk()) as running:
        yield running


async def watch(air: OnAir, task_id: str, who: dict[str, str], told: list[Event]) -> None:
    """Until the stream ends."""
    place = f"/api/v1/tasks/{task_id}/events"
    async with air.client.stream("GET", place, headers=who) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for each in events(answer):
            told += [each]


async def until(told: list[Event], count: int) -> None:
    async with asyncio.timeout(10):
        while len(told) < count:
            await asyncio.sleep(0.01)


async def test_a_task_is_followed_to_its_end(air: OnAir) -> None:
    ada = await air.let_in(ADA)
    who = await air.log_in(ADA)
    task_id = await somebody_elses(air, ada, state="queued", reason="2 tasks come first")
    told: list[Event] = []
    watching = asyncio.create_task(watch(air, task_id, who, told))
    await until(told, 2)
    assert [each[0] for each in told] == ["state", "progress"]
    assert told[0][1]["state"] == "queued"
    assert told[0][1]["reason"] == "2 tasks come first"
    assert told[1][1] == {"frames": 0, "frames_total": None, "fps": None, "seconds_left": None}
    await change(air, task_id, state="running", reason=None, started=now(), frames_total=100)
    await until(told, 4)
    for frames in range(0, 61, 2):
        await change(air, task_id, frames=frames, fps=20.0)
        await asyncio.sleep(0.1)
    await change(air, task_id, state="completed", frames=100, fps=None, ended=now())
    await asyncio.wait_for(watching, 10)
    states = [each[1]["state"] for each in told if each[0] == "state"]
    assert states == ["queued", "running", "completed"]
    assert told[-1][0] == "state"
    assert told[-1][1]["ended"]
    progress = [each for each in told if each[0] == "progress"]
    assert progress[-1][1]["frames"] == 100
    going = [each for each in progress if each[1]["fps"]]
    assert 2 <= len(going) <= 5
    assert all(later[2] - earlier[2] > 0.9 for earlier, later in pairwise(going))
    assert all(each[1]["seconds_left"] == (100 - each[1]["frames"]) / 20 for each in going)


async def test_who_knows_the_end_is_not_told_again(air: OnAir) -> None:
    ada = await air.let_in(ADA)
    who = await air.log_in(ADA)
    task_id = await somebody_elses(air, ada, state="failed", cause="no space left")
    place = f"/api/v1/tasks/{task_id}/events"
    first = await air.client.get(place, headers=who)
    assert "id: failed" in first.text
    assert "no space left" in first.text
    for known in ("running", "no id of ours"):
        again = await air.client.get(place, headers=who | {"Last-Event-ID": known})
        assert again.text == first.text
    done = await air.client.get(place, headers=who | {"Last-Event-ID": "failed"})
    assert (done.status_code, done.content) == (204, b"")


async def test_however_many_watch_the_database_is_asked_twice_a_second(air: OnAir) -> None:
    ada = await air.let_in(ADA)
    who = await air.log_in(ADA)
    tasks = [await somebody_elses(air, ada) for _ in range(4)]
    told: list[list[Event]] = [[] for _ in range(40)]
    watching = [
        asyncio.create_task(watch(air, tasks[i % 4], who, each)) for i, each in enumerate(told)
    ]
    for each in told:
        await until(each, 2)
    asked: list[Any] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if " IN (" in statement and set(tasks) <= set(parameters):
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    began = time.monotonic()
    await asyncio.sleep(3)
    event.remove(Engine, "before_cursor_execute", note)
    assert 2 <= len(asked) <= 2 * (time.monotonic() - began) + 1
    for task_id in tasks:
        await change(air, task_id, state="cancelled", ended=now())
    await asyncio.wait_for(asyncio.gather(*watching), 10)
    assert all(each[-1][1]["state"] == "cancelled" for each in told)


async def test_it_ends_with_the_key_or_the_task(air: OnAir) -> None:
    ada = await air.let_in(ADA)
    who = await air.log_in(ADA)
    tasks = [await somebody_elses(air, ada) for _ in range(2)]
    body = {"name": "page", "scopes": ["read"]}
    made = (await air.client.post("/api/v1/keys", json=body, headers=who)).json()
    told: list[list[Event]] = [[], []]
    with quicker_checks(air, 0.2):
        by_key = asyncio.create_task(watch(air, tasks[0], {"X-API-Key": made["key"]}, told[0]))
        deleted = asyncio.create_task(watch(air, tasks[1], who, told[1]))
        for each in told:
            await until(each, 2)
        assert not by_key.done()
        gone = await air.client.delete(f"/api/v1/keys/{made['id']}", headers=who)
        assert gone.status_code == 204
        await change(air, tasks[1], deleted=now())
        await asyncio.wait_for(asyncio.gather(by_key, deleted), 5)
