"""A task as it changes: by server-sent events, or by asking where these do not come through."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from time import sleep
from typing import NamedTuple

import httpx
import msgspec
from msgspec.structs import asdict, replace

from contanos.client.connection import Connection
from contanos.client.models import Task
from contanos.errors import Refused, ServerFailed, TryLater, Unreachable

_SILENCE = httpx.Timeout(30.0, connect=10.0)  # the server says something every 15 s
_POLL, _PAUSE = 1.0, 0.1  # seconds between two questions, and between two streams


class Event(NamedTuple):
    """A server-sent event."""

    name: str
    data: str


class _State(msgspec.Struct, frozen=True):
    state: str
    reason: str | None = None
    cause: str | None = None
    started: datetime | None = None
    ended: datetime | None = None


class _Progress(msgspec.Struct, frozen=True):
    frames: int
    frames_total: int | None = None
    fps: float | None = None
    seconds_left: float | None = None


def watched(connection: Connection, task_id: str) -> Iterator[Task]:
    """A task now, and after every change that the server tells of, until it is over.

    Raises:
        ServerError: it may not be watched any more, or the server is away for too long.
    """
    task, streams = _task(connection, task_id), True
    yield task
    while not task.over:
        if streams:
            streams = False
            with suppress(Unreachable, TryLater, Refused, ServerFailed):  # the question tells why
                for now in _followed(connection, task):
                    streams = True
                    yield now
        sleep(_PAUSE if streams else _POLL)
        task = _task(connection, task_id)
        yield task


def _task(connection: Connection, task_id: str) -> Task:
    return connection.ask(Task, "GET", f"/tasks/{task_id}")


def _followed(connection: Connection, task: Task) -> Iterator[Task]:
    """What events make of a task; until one says that it is over, or they end before."""
    headers = {"Accept": "text/event-stream"}
    with connection.stream(
        "GET", f"/tasks/{task.id}/events", headers=headers, timeout=_SILENCE
    ) as answer:
        if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            raise ServerFailed("the server sends no events")
        for event in parsed(answer.iter_raw()):
            task = changed(task, event)
            if task.over:
                return
            yield task


def changed(task: Task, event: Event) -> Task:
    """The task after an event; the same one where that says nothing that we know of.

    Raises:
        ServerFailed: it is not what a contanos server sends.
    """
    try:
        if event.name == "state":
            return replace(task, **asdict(msgspec.json.decode(event.data, type=_State)))
        if event.name == "progress":
            now = msgspec.json.decode(event.data, type=_Progress)
            done = min(1.0, now.frames / now.frames_total) if now.frames_total else None
            return replace(task, **asdict(now), progress=done)
    except msgspec.MsgspecError as e:
        raise ServerFailed(f"the server sends events that are none of contanos: {e}") from e
    return task


def parsed(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Events in a stream as it comes (HTML standard, section 9.2.6), with LF or CR LF.

    Not by `str.splitlines`, which splits at more than that: a cause may have U+2028 in it.

    >>> list(parsed([b"event: state\\r\\nda", b"ta: 1\\n: ping\\n", b"data: 2\\n\\nda"]))
    [Event(name='state', data='1\\n2')]
    """
    name, data, rest = "message", [], b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            field, _, value = line.removesuffix(b"\r").decode(errors="replace").partition(":")
            if field == "event":
                name = value.removeprefix(" ")
            elif field == "data":
                data.append(value.removeprefix(" "))
            elif not field and not value:
                if data:
                    yield Event(name, "\n".join(data))
                name, data = "message", []
