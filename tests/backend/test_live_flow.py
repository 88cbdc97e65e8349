"""Viewers that are slow, late or many; frames that the bus lets go; records out of order."""

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contanos.bus import Position, TopicPartition, open_bus
from contanos.bus.topics import topic_name
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.contract import Item
from contanos.stage.tasks import Tasks
from contanos.testing.kafka import Broker
from contanos.testing.videos import make_video
from tests.backend.clients import ADA, quiet_desk
from tests.backend.on_air import (
    Chain,
    OnAir,
    begin,
    messages,
    numbers,
    on_air,
    some,
    somebody_elses,
)
from video_analysis.backend.live.order import InOrder
from video_analysis.backend.live.ring import Ring
from video_analysis.backend.settings import BackendSettings
from video_analysis.control.desk import Desk
from video_analysis.job import job_of, read_task
from video_analysis.settings import Options

pytestmark = pytest.mark.anyio


@pytest.fixture
def desk() -> Desk:
    return quiet_desk()


@pytest.fixture
async def air(settings: BackendSettings, desk: Desk) -> AsyncIterator[OnAir]:
    async with on_air(settings, desk) as running:
        yield running


async def running_task(air: OnAir, tmp_path: Path, people: int = 1) -> tuple[str, Any, Any]:
    """Its id, its chain, and the headers of somebody who may watch it."""
    ada = await air.let_in(ADA)
    who = await air.log_in(ADA)
    options = Options(video=False)
    task_id = await somebody_elses(air, ada, options=options)
    desk = air.state.desk
    task = begin(desk, make_video(tmp_path / "v.mp4"), tmp_path / "out", task_id, options)
    return task_id, Chain(desk, task, people), who


def let_go(desk: Desk, task_id: str, offset: int) -> None:
    """Commit as the results stage does once a part is on the disk."""
    source = TopicPartition(topic_name("bytetrack", task_id), 0)
    consumer = desk.bus.consumer("results-pose_first", ["bytetrack_"], None)
    consumer.poll(0, 0.1)
    consumer.commit({source: Position(offset)})
    consumer.close()


def live_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("live-")]


async def test_many_watch_and_the_bus_is_read_once(air: OnAir, tmp_path: Path) -> None:
    task_id, chain, who = await running_task(air, tmp_path)
    sockets = [await air.frames(task_id, who) for _ in range(20)]
    chain.send(0, 30)
    for each in sockets:
        assert numbers(await some(each, 30)) == list(range(30))
    assert live_threads() == [f"live-{task_id}"]
    for each in sockets[1:]:
        await each.close()
    chain.send(30, 40)
    assert numbers(await some(sockets[0], 10)) == list(range(30, 40))
    await sockets[0].close()
    async with asyncio.timeout(5):
        while live_threads():
            await asyncio.sleep(0.02)


async def test_the_newest_comes_first_by_default(air: OnAir, tmp_path: Path) -> None:
    task_id, chain, who = await running_task(air, tmp_path)
    chain.send(0, 20)
    async with air.frames(task_id, who, "") as viewer:
        assert numbers(await some(viewer, 1)) == [19]
        chain.send(20, 22)
        assert numbers(await some(viewer, 2)) == [20, 21]
    async with air.frames(task_id, who, "since=24") as viewer:
        chain.send(22, 26)
        assert numbers(await some(viewer, 2)) == [24, 25]
        chain.finish(26)
        (end,) = await messages(viewer)
    assert (end["frames"], end["reason"]) == (26, "completed")


async def test_what_the_bus_let_go_is_read_from_parts(air: OnAir, tmp_path: Path) -> None:
    """The hub sees records 40 to 50 only; frames 0 to 39 lie in a part."""
    task_id, chain, who = await running_task(air, tmp_path)
    task = air.state.desk.tasks.get(task_id)
    assert task
    writer = job_of(task).results()
    chain.send(0, 50)
    for frame_id in range(40):
        writer.process(Item(task, chain.frame(frame_id), None))
    writer._writer.checkpoint()
    let_go(air.state.desk, task_id, 40)
    async with air.frames(task_id, who) as viewer:
        assert numbers(await some(viewer, 50)) == list(range(50))
        chain.send(50, 60)
        assert numbers(await some(viewer, 10)) == list(range(50, 60))


async def test_over_kafka_too(settings: BackendSettings, broker: Broker, tmp_path: Path) -> None:
    bus = open_bus(f"{broker.url}/live-{os.getpid()}")
    try:
        async with on_air(settings, Desk(bus, Tasks(bus, read_task))) as air:
            task_id, chain, who = await running_task(air, tmp_path)
            chain.send(0, 30)
            before = kafka_threads()
            async with air.frames(task_id, who) as viewer:
                assert numbers(await some(viewer, 30)) == list(range(30))
                assert kafka_threads() > before
                chain.send(30, 40)
                chain.finish(40)
                *frames, end = await messages(viewer)
            assert numbers(frames) == list(range(30, 40))
            assert end["frames"] == 40
            async with asyncio.timeout(10):
                while kafka_threads() > before or live_threads():
                    await asyncio.sleep(0.05)
    finally:
        bus.close()


def kafka_threads() -> int:
    """Of librdkafka's in this process; it names them."""
    names = [each.read_text() for each in Path("/proc/self/task").glob("*/comm")]
    return sum(each.startswith("rdk:") for each in names)


class SlowClient:
    """Speaks WebSocket, and takes a few bytes at a time."""

    def __init__(self, air: OnAir, task_id: str, who: dict[str, str]) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", air.port))
        self._air, self._task_id, self._who = air, task_id, who

    async def viewer(self) -> Any:
        return await self._air.frames(
            self._task_id, self._who, sock=self._socket, max_queue=1, compression=None
        )


async def test_a_slow_viewer_is_dropped_to_the_newest_and_slows_nobody(
    air: OnAir, tmp_path: Path
) -> None:
    task_id, chain, who = await running_task(air, tmp_path, people=20)
    air.state.live.room = 64
    slow = await SlowClient(air, task_id, who).viewer()
    quick = await air.frames(task_id, who)
    taken: list[int] = []
    quickest = asyncio.create_task(_take(quick, taken))
    async with asyncio.timeout(60):
        for start in range(0, 1200, 8):
            chain.send(start, start + 8)
            while len(taken) < start + 8:
                await asyncio.sleep(0.001)
            if start % 128 == 0:
                let_go(air.state.desk, task_id, start)
    assert taken == list(range(1200))
    chain.finish(1200)
    await quickest
    found = await messages(slow)
    seen = numbers(found)
    dropped = [each["dropped"] for each in found if "dropped" in each]
    assert dropped
    assert seen == sorted(set(seen))
    assert len(seen) + sum(dropped) == 1200
    assert seen[-1] == 1199
    at = next(i for i, each in enumerate(found) if "dropped" in each)
    assert found[at + 1]["frame_id"] == found[at - 1]["frame_id"] + 1 + dropped[0]
    assert found[-1]["end_of_stream"]
    assert air.state.live.meter.dropped._value.get() == sum(dropped)


async def _take(viewer: Any, taken: list[int]) -> None:
    async for text in viewer:
        taken += numbers([json.loads(text)])


async def test_connections_end_promptly_when_the_server_stops(air: OnAir, tmp_path: Path) -> None:
    task_id, chain, who = await running_task(air, tmp_path)
    sockets = [await air.frames(task_id, who) for _ in range(5)]
    streams = [air.client.stream("GET", f"/api/v1/tasks/{task_id}/events", headers=who)]
    streams.append(air.client.stream("GET", f"/api/v1/tasks/{task_id}/events", headers=who))
    opened = [await each.__aenter__() for each in streams]
    chain.send(0, 3)
    for each in sockets:
        await some(each, 3)
    began = time.monotonic()
    await asyncio.to_thread(air.server.stop)
    assert time.monotonic() - began < 3
    for each in sockets:
        assert await messages(each) == []
        assert each.close_code in (1001, 1012)
    for stream, answer in zip(streams, opened, strict=True):
        assert "event: state" in (await answer.aread()).decode()
        await stream.__aexit__(None, None, None)
    assert not live_threads()


def frame(frame_id: int) -> FrameResult:
    return FrameResult(
        task_id="a", frame_id=frame_id, pts=0, time_base=(1, 25), width=2, height=2, stage="s"
    )


async def test_frames_of_several_writers_are_put_in_order() -> None:
    order = InOrder(first_frame=5, next_frame=5, writers=2)
    came = [order.add(frame(each)) for each in (6, 8, 5, 5, 7, 6)]
    assert [[each.frame_id for each in some] for some in came] == [[], [], [5, 6], [], [7, 8], []]
    order.add(EndOfStream(task_id="a", frames=5, reason="completed", partition=0))
    order.add(EndOfStream(task_id="a", frames=5, reason="completed", partition=0))
    assert order.end is None
    order.add(EndOfStream(task_id="a", frames=5, reason="cancelled", partition=1))
    assert order.end == EndOfStream(task_id="a", frames=4, reason="cancelled")


async def test_an_end_waits_for_the_frames_before_it() -> None:
    order = InOrder(first_frame=0, next_frame=0, writers=1)
    order.add(frame(1))
    order.add(EndOfStream(task_id="a", frames=2, reason="completed"))
    assert order.end is None
    assert [each.frame_id for each in order.skip_to(1)] == [1]
    assert order.end
    assert order.end.frames == 2


async def test_a_ring_holds_the_newest() -> None:
    ring = Ring(10, room=3)
    ring.add(["a", "b"])
    assert (ring.first, ring.next) == (10, 12)
    assert ring.since(10, 5) == ["a", "b"]
    assert ring.since(12, 5) == []
    ring.add(["c", "d"])
    assert ring.since(10, 5) is None
    assert ring.since(11, 2) == ["b", "c"]
