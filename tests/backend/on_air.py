"""A control plane on real sockets in this process, and those who watch what it sends live."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from contanos.bus.topics import topic_name
from contanos.messages import Detection, EndOfStream, FrameResult
from contanos.service.address import Address
from contanos.service.server import Server, Site
from contanos.stage.contract import Task
from tests.backend.clients import ADMIN, Person
from tests.backend.videos import Headers
from video_analysis.assembly import create_topics
from video_analysis.backend.app import new_app, running, serve_api
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State
from video_analysis.control.books import Order
from video_analysis.control.desk import Desk
from video_analysis.control.prepare import make_job, open_source
from video_analysis.job import job_of
from video_analysis.pipeline import graph_of
from video_analysis.settings import Options, Settings


@dataclass
class OnAir:
    """A control plane that listens.

    Attributes:
        state: what its routes share; its coroutines belong to the server's event loop.
        client: of nobody in particular.
        database: the same one, for this event loop.
        server: to be stopped early.
        port: that it listens on.
    """

    state: State
    client: httpx.AsyncClient
    database: Database
    server: Server
    port: int

    async def log_in(self, who: Person = ADMIN) -> Headers:
        """The headers of somebody who has logged in."""
        answer = await self.client.post("/api/v1/login", json=who._asdict())
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def let_in(self, who: Person, **fields: Any) -> str:
        """The id of an account that the administrator has made."""
        answer = await self.client.post(
            "/api/v1/users", json=who._asdict() | fields, headers=await self.log_in()
        )
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["id"]
        return made

    def frames(
        self, task_id: str, headers: Headers, query: str = "since=0", **more: Any
    ) -> connect:
        """A viewer's connection."""
        place = f"ws://127.0.0.1:{self.port}/api/v1/tasks/{task_id}/frames/live?{query}"
        return connect(place, additional_headers=headers, proxy=None, max_size=None, **more)


@asynccontextmanager
async def on_air(settings: BackendSettings, desk: Desk) -> AsyncIterator[OnAir]:
    state = State.of(settings, desk)
    app = new_app()
    serve_api(app, state)
    server = Server([Site(app, Address("127.0.0.1", 0))])
    database = Database(settings.database)
    await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(server.keep, running(state))
        url = server.addresses[0].url
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            yield OnAir(state, client, database, server, server.addresses[0].port)
    finally:
        await asyncio.to_thread(server.stop)
        await database.close()


async def somebody_elses(air: OnAir, user_id: str, **fields: Any) -> str:
    """The id of a task that another backend looks after, so that ours leaves it alone."""
    row = TaskRow(
        user_id=user_id,
        label="walk.mp4",
        state=fields.pop("state", "running"),
        options=msgspec.to_builtins(fields.pop("options", Options())),
        claimed_by="another",
        claimed_until=now() + timedelta(hours=1),
        created=now(),
        **fields,
    )
    async with air.database.transaction() as session:
        session.add(row)
    return row.id


async def change(air: OnAir, task_id: str, **fields: Any) -> None:
    async with air.database.transaction() as session:
        row = await session.get(TaskRow, task_id)
        assert row
        for name, value in fields.items():
            setattr(row, name, value)


def begin(desk: Desk, video: Path, folder: Path, task_id: str, options: Options) -> Task:
    """A task whose topics are there, and in which nobody works."""
    order = Order(
        task_id=task_id, source=str(video), folder=str(folder), options=options, ordered=0.0
    )
    settings = Settings()
    with open_source(str(video), settings) as source:
        job = make_job(order, source, settings)
    desk.tasks.add(task_id, msgspec.json.encode(job))
    task = desk.tasks.get(task_id)
    assert task
    create_topics(desk.bus, graph_of(task), task, settings.frames_in_flight)
    return task


class Chain:
    """Puts results of frames where the last stage before the outputs does."""

    def __init__(self, desk: Desk, task: Task, people: int = 1) -> None:
        self._producer = desk.bus.producer()
        self._task = task
        self._last = graph_of(task).last
        self._topic = topic_name(self._last, task.task_id)
        self._people = people

    def frame(self, frame_id: int) -> FrameResult:
        """One with many numbers that fit into 32 bits."""
        at = float(frame_id)
        people = [
            Detection(
                bbox=(at, 1.5, at + 2, 40.25),
                score=0.5,
                keypoints=tuple((at + i, 2.25, 0.75) for i in range(26)),
                track_id=number + 1,
                track_bbox=(at, 1.5, at + 2, 40.25),
            )
            for number in range(self._people)
        ]
        about = job_of(self._task).metadata
        return FrameResult(
            task_id=self._task.task_id,
            frame_id=frame_id,
            pts=frame_id,
            time_base=about.time_base,
            width=about.width,
            height=about.height,
            stage=self._last,
            detections=tuple(people),
        )

    def send(self, first: int, end: int) -> None:
        for frame_id in range(first, end):
            self._producer.send(self._topic, frame_id, self.frame(frame_id))
        self._producer.flush()

    def finish(self, frames: int) -> None:
        end = EndOfStream(task_id=self._task.task_id, frames=frames, reason="completed")
        self._producer.send(self._topic, frames, end)
        self._producer.flush()


async def messages(socket: ClientConnection) -> list[dict[str, Any]]:
    """Everything until the connection is closed."""
    return [json.loads(text) async for text in socket]


async def some(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(await asyncio.wait_for(socket.recv(), 60)) for _ in range(count)]


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [each["frame_id"] for each in found if "frame_id" in each]


Event = tuple[str, dict[str, Any], float]
"""Its name, its data, and when it came."""


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    """Server-sent events, as they come."""
    name, data = "", ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
        elif not line and data:
            yield name, json.loads(data), time.monotonic()
            name, data = "", ""


@contextmanager
def quicker_checks(air: OnAir, seconds: float) -> Iterator[None]:
    """Whether somebody may still watch is looked at that often."""
    before, air.state.live.check_seconds = air.state.live.check_seconds, seconds
    yield
    air.state.live.check_seconds = before
