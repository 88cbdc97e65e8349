"""A task's changes as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from sse_starlette import ServerSentEvent

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.tables import FINAL, TaskRow, TaskState
from video_analysis.backend.live.standing import why_not
from video_analysis.backend.live.watch import Watch
from video_analysis.backend.state import State
from video_analysis.backend.tasks.shown import seconds_left

_PROGRESS = 1.0  # seconds between two events of progress


class StateEvent(msgspec.Struct, frozen=True):
    """How a task is.

    Attributes:
        state: one of the task's states.
        reason: why it waits.
        cause: why it failed.
        created: when it was made.
        started: when its turn came.
        ended: when it was over.
    """

    state: TaskState
    reason: str | None
    cause: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None


class ProgressEvent(msgspec.Struct, frozen=True):
    """How far a task is.

    Attributes:
        frames: that came out at the end of the chain.
        frames_total: that are expected.
        fps: frames a second, of late.
        seconds_left: at this pace.
    """

    frames: int
    frames_total: int | None
    fps: float | None
    seconds_left: float | None


class Changes:
    """What of a task has changed since it was last told.

    The id of an event of state is the state: whoever comes back and names a final one knows all.
    """

    def __init__(self) -> None:
        self._state: StateEvent | None = None
        self._progress: ProgressEvent | None = None
        self._not_before = 0.0

    def tell(self, row: TaskRow, now: float) -> list[ServerSentEvent]:
        """Events for how it is now; a final state comes last, after the last progress."""
        state, progress = _state_of(row), _progress_of(row)
        told = []
        if state != self._state:
            event = ServerSentEvent(_json(state), event="state", id=state.state)
            told.append(event)
        if progress != self._progress and (now >= self._not_before or row.state in FINAL):
            told.append(ServerSentEvent(_json(progress), event="progress"))
            self._progress, self._not_before = progress, now + _PROGRESS
        self._state = state
        return told[::-1] if row.state in FINAL else told

    def wait(self, row: TaskRow, now: float) -> float | None:
        """Seconds after which there is something to tell, if nothing happens; None for never."""
        return None if _progress_of(row) == self._progress else max(0.0, self._not_before - now)


async def task_events(state: State, who: Principal, watch: Watch) -> AsyncIterator[ServerSentEvent]:
    """All that happens to a task, until it is over, or they may not see it any more.

    Args:
        state: of the application.
        who: watches.
        watch: the task.
    """
    loop, changes = asyncio.get_running_loop(), Changes()
    check = loop.time() + state.live.check_seconds
    while (row := watch.latest) and not state.live.stopped.is_set():
        for event in changes.tell(row, loop.time()):
            yield event
        if row.state in FINAL:
            return
        if loop.time() >= check:
            if await why_not(state, who, row.id):
                return
            check = loop.time() + state.live.check_seconds
        pause = changes.wait(row, loop.time())
        left = max(0.0, check - loop.time())
        await watch.changed(left if pause is None else min(pause, left))


def _state_of(row: TaskRow) -> StateEvent:
    return StateEvent(row.state, row.reason, row.cause, row.created, row.started, row.ended)


def _progress_of(row: TaskRow) -> ProgressEvent:
    return ProgressEvent(row.frames, row.frames_total, row.fps, seconds_left(row))


def _json(event: msgspec.Struct) -> str:
    return msgspec.json.encode(event).decode()
