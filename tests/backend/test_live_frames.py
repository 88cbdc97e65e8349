"""Frames' results as they are tracked, by real stages: each arrives once, whenever one joins."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from contanos.messages import decode, encode
from contanos.testing.videos import make_video
from tests.backend.clients import ADA, ADMIN, BOB, quiet_desk
from tests.backend.on_air import (
    OnAir,
    change,
    messages,
    numbers,
    on_air,
    quicker_checks,
    some,
    somebody_elses,
)
from tests.backend.tasks import in_state, made, task, uploaded
from video_analysis.backend.database.columns import now
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage.contract import result_name
from video_analysis.control.desk import Desk
from video_analysis.results.reader import open_results

pytestmark = pytest.mark.anyio

FRAMES, FIRST = 300, 7
SIZE = (320, 180)


@pytest.fixture
async def air(settings: BackendSettings, stages: Desk) -> AsyncIterator[OnAir]:
    async with on_air(settings, stages) as running:
        yield running


@pytest.fixture
async def idle(settings: BackendSettings) -> AsyncIterator[OnAir]:
    """Without stages."""
    async with on_air(settings, quiet_desk()) as running:
        yield running


@pytest.fixture(scope="session")
def walk(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A walker, small, to and fro."""
    with av.open(str(demo_video)) as container:
        frames = container.decode(video=0)
        pictures = [each.reformat(*SIZE, format="bgr24").to_ndarray() for each in frames]
    last = len(pictures) - 1
    path = tmp_path_factory.mktemp("walk") / "walk.mp4"
    make_video(path, FRAMES, size=SIZE, picture=lambda n: pictures[last - abs(last - n)])
    return path.read_bytes()


async def until_tracked(air: OnAir, who: dict[str, str], task_id: str, frames: int) -> None:
    async with asyncio.timeout(90):
        while True:
            found = await task(air.client, who, task_id)
            progress, _ = air.state.desk.progress([task_id]).get(task_id, ({}, None))
            if progress and progress["bytetrack"].done >= frames:
                return
            assert found["state"] in ("queued", "running"), found
            await asyncio.sleep(0.02)


async def everything(air: OnAir, task_id: str, who: dict[str, str], query: str = "since=0") -> Any:
    async with air.frames(task_id, who, query) as socket:
        return await messages(socket), socket.close_code


async def in_two_goes(air: OnAir, task_id: str, who: dict[str, str]) -> Any:
    """Gone in the middle, and back again."""
    async with air.frames(task_id, who) as socket:
        first = await some(socket, 50)
    rest, code = await everything(air, task_id, who, f"since={first[-1]['frame_id'] + 1}")
    return first + rest, code


def stored(air: OnAir, task_id: str) -> list[Any]:
    path = air.state.settings.data_dir / "files" / result_name(task_id, "results.parquet")
    return list(open_results(path))


def as_frames(found: list[dict[str, Any]]) -> list[Any]:
    return [decode(msgspec.json.encode(each)) for each in found]


async def test_whenever_one_joins_every_frame_arrives_once(air: OnAir, walk: bytes) -> None:
    who = await air.log_in(ADMIN)
    upload_id = await uploaded(air.client, who, walk)
    options = {"video": False, "first_frame": FIRST}
    begun = await made(air.client, who, upload_id, options=options)
    task_id = begun["id"]
    joined = [asyncio.create_task(everything(air, task_id, who))]
    joined.append(asyncio.create_task(in_two_goes(air, task_id, who)))
    for tracked in (40, 150, 260):
        await until_tracked(air, who, task_id, tracked)
        joined.append(asyncio.create_task(everything(air, task_id, who)))
        joined.append(asyncio.create_task(everything(air, task_id, who, f"since={tracked}")))
    newest = asyncio.create_task(everything(air, task_id, who, ""))
    await in_state(air.client, who, task_id, "completed")
    joined.append(asyncio.create_task(everything(air, task_id, who)))
    joined.append(asyncio.create_task(in_two_goes(air, task_id, who)))
    expected = stored(air, task_id)
    assert len(expected) == FRAMES - FIRST
    assert sum(len(each.detections) for each in expected) > 100
    assert any(each.detections and each.detections[0].keypoints for each in expected)
    for each in joined:
        found, code = await each
        start = found[0]["frame_id"]
        assert start in (FIRST, 40, 150, 260)
        assert as_frames(found[:-1]) == expected[start - FIRST :]
        assert found[-1] | {"schema": 1} == found[-1]
        assert found[-1]["end_of_stream"] is True
        assert (found[-1]["frames"], found[-1]["reason"]) == (FRAMES - FIRST, "completed")
        assert code == 1000
    found, _ = await newest
    assert found[0]["frame_id"] > 200
    assert numbers(found) == list(range(found[0]["frame_id"], FRAMES))
    assert air.state.live.meter.dropped._value.get() == 0
    assert not [each for each in threading.enumerate() if each.name.startswith("live-")]


async def test_encoded_as_stages_do(air: OnAir, walk: bytes, tmp_path: Path) -> None:
    """The last frame of a task that is over: what is sent is the record itself."""
    who = await air.log_in(ADMIN)
    upload_id = await uploaded(air.client, who, walk)
    options = {"video": False, "max_frames": 20}
    begun = await made(air.client, who, upload_id, options=options)
    await in_state(air.client, who, begun["id"], "completed")
    async with air.frames(begun["id"], who, "") as socket:
        text = await socket.recv(decode=False)
        end = (await messages(socket))[-1]
    assert text == encode(stored(air, begun["id"])[-1])
    assert end["frames"] == 20


async def test_a_task_that_was_cancelled_ends_with_what_was_kept(air: OnAir, walk: bytes) -> None:
    who = await air.log_in(ADMIN)
    upload_id = await uploaded(air.client, who, walk)
    begun = await made(air.client, who, upload_id, options={"video": False})
    task_id = begun["id"]
    early = asyncio.create_task(everything(air, task_id, who))
    await until_tracked(air, who, task_id, 30)
    place = f"/api/v1/tasks/{task_id}/cancel"
    assert (await air.client.post(place, headers=who)).status_code in (200, 202)
    await in_state(air.client, who, task_id, "cancelled")
    expected = stored(air, task_id)
    late = asyncio.create_task(everything(air, task_id, who))
    for each in (early, late):
        found, code = await each
        assert as_frames(found[:-1]) == expected
        assert (found[-1]["reason"], found[-1]["frames"]) == ("cancelled", len(expected))
        assert code == 1000


async def test_a_task_that_never_begins_is_waited_for_to_its_end(idle: OnAir) -> None:
    ada = await idle.let_in(ADA)
    who = await idle.log_in(ADA)
    waiting = await somebody_elses(idle, ada, state="running")
    async with idle.frames(waiting, who) as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 1)
        await change(idle, waiting, state="failed", cause="yolox: out of memory")
        (end,) = await messages(socket)
    assert (end["end_of_stream"], end["frames"]) == (True, 0)
    assert (end["reason"], end["cause"]) == ("failed", "yolox: out of memory")
    assert socket.close_code == 1000


async def refusal(air: OnAir, task_id: str, headers: dict[str, str], **more: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with air.frames(task_id, headers, **more):
            pass
    answer = refused.value.response
    if answer.status_code != 403:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code


async def test_who_may_not_watch_is_refused_before_the_handshake(idle: OnAir) -> None:
    ada = await idle.let_in(ADA)
    await idle.let_in(BOB)
    mine, theirs = await idle.log_in(ADA), await idle.log_in(BOB)
    task_id = await somebody_elses(idle, ada)
    token = mine["Authorization"].partition(" ")[2]
    assert await refusal(idle, task_id, {}) == 401
    assert await refusal(idle, task_id, {"Authorization": "Bearer nonsense"}) == 401
    assert await refusal(idle, task_id, {}, query=f"token={token}&access_token={token}") == 401
    assert await refusal(idle, task_id, {"X-API-Key": "ctn_nonsense"}) == 401
    assert await refusal(idle, task_id, {}, subprotocols=["contanos", "nonsense"]) == 401
    assert await refusal(idle, task_id, theirs) == 404
    assert await refusal(idle, "no-such-task", mine) == 404
    assert await refusal(idle, task_id, mine, query="since=-1") == 422
    assert await refusal(idle, task_id, mine, query="since=now") == 422
    events = f"/api/v1/tasks/{task_id}/events"
    assert (await idle.client.get(events, headers=theirs)).status_code == 404
    assert (await idle.client.get(events)).status_code == 401
    await change(idle, task_id, deleted=now())
    assert await refusal(idle, task_id, mine) == 404


async def test_a_page_in_a_browser_shows_its_token_as_a_subprotocol(idle: OnAir) -> None:
    ada = await idle.let_in(ADA)
    who = await idle.log_in(ADA)
    task_id = await somebody_elses(idle, ada)
    body = {"name": "page", "scopes": ["read"]}
    key = (await idle.client.post("/api/v1/keys", json=body, headers=who)).json()["key"]
    for secret in (who["Authorization"].partition(" ")[2], key):
        async with idle.frames(task_id, {}, subprotocols=["contanos", secret]) as socket:
            assert socket.subprotocol == "contanos"
    async with idle.frames(task_id, {"X-API-Key": key}) as socket:
        assert socket.subprotocol is None


async def test_a_viewer_whose_login_ends_is_told_so(idle: OnAir) -> None:
    ada = await idle.let_in(ADA)
    who = await idle.log_in(ADA)
    task_id = await somebody_elses(idle, ada)
    with quicker_checks(idle, 0.2):
        async with idle.frames(task_id, who) as socket:
            await asyncio.sleep(0.6)
            assert (await idle.client.delete("/api/v1/login", headers=who)).status_code == 204
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 5)
        assert socket.close_code == 1008
        assert "log in" in (socket.close_reason or "")
