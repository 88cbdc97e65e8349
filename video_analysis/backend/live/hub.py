"""One task's frames, for all of its viewers in this process."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import structlog
from anyio import CapacityLimiter, to_thread
from msgspec import convert
from sqlalchemy.exc import SQLAlchemyError

from contanos.errors import ContanosError
from contanos.messages import EndOfStream, Reason
from video_analysis.backend.database.tables import FINAL, TaskRow
from video_analysis.backend.live.ring import Ring
from video_analysis.backend.live.stored import Stored, files_with, open_at
from video_analysis.backend.live.tail import Tail
from video_analysis.backend.live.watch import Watcher
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import result_name
from video_analysis.control.desk import Desk
from video_analysis.job import Job, job_of
from video_analysis.results.writer import RESULTS
from video_analysis.settings import Options

_LOOK = 0.2  # seconds between two looks whether the task has begun
_AGAIN = 1.0  # seconds before what failed is tried again

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Hub:
    """Reads the bus once, and knows where everything else lies.

    Args:
        row: of the task.
        desk: where it runs.
        storage: of its result, once it is over.
        watcher: tells how it is.
        threads: for reading files.
        room: frames that are held for slow viewers.

    Attributes:
        viewers: how many there are.
        first_frame: the number of the task's first frame.
        final: whether nothing will change any more.
        changed: set, and replaced by another one, at every change.
    """

    def __init__(
        self,
        row: TaskRow,
        desk: Desk,
        storage: Storage,
        watcher: Watcher,
        threads: CapacityLimiter,
        room: int,
    ) -> None:
        self.first_frame = convert(row.options, Options).first_frame
        self.viewers = 0
        self.final = False
        self.changed = asyncio.Event()
        self._row = row
        self._desk = desk
        self._storage = storage
        self._watcher = watcher
        self._threads = threads
        self._room = room
        self._job: Job | None = None
        self._tail: Tail | None = None
        self._concluded: tuple[Ring, EndOfStream] | None = None
        self._open = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._kept: Path | None = None
        self._loop = asyncio.get_running_loop()
        self._running = asyncio.create_task(self._run(), name=f"hub {row.id}")

    @property
    def ring(self) -> Ring | None:
        """The newest frames; None before the first was seen."""
        if self._concluded:
            return self._concluded[0]
        return self._tail.ring if self._tail else None

    @property
    def end(self) -> EndOfStream | None:
        """How the stream ended, once it did."""
        if self._concluded:
            return self._concluded[1]
        return self._tail.end if self._tail else None

    async def stored(self, frame_id: int) -> Stored | None:
        """A file that holds a frame, to be closed by the caller; None where there is none yet.

        Raises:
            ContanosError: it cannot be read.
        """
        found = None
        if job := self._job:
            found = await self.in_thread(lambda: open_at(files_with(job, frame_id), frame_id))
        if found is None and self.final and (kept := await self._fetch()):
            found = await self.in_thread(open_at, [kept], frame_id)
        return found

    async def in_thread(self, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        """What `work` returns, done beside the event loop."""
        return await to_thread.run_sync(work, *args, limiter=self._threads)

    async def close(self) -> None:
        """Leave no thread, reader or file behind."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._stop_tail()
        await self._open.aclose()

    async def _run(self) -> None:
        async with self._watcher.watching(self._row) as watch:
            while (row := watch.latest) and row.state not in FINAL:
                self._follow()
                await watch.changed(None if self._tail else _LOOK)
        while not self.final:
            try:
                await self._conclude(row or self._row)
            except (ContanosError, SQLAlchemyError, OSError) as e:
                log.warning("the end of a task waits", task_id=self._row.id, cause=str(e))
                await asyncio.sleep(_AGAIN)

    def _follow(self) -> None:
        """Read the bus, if the task has begun."""
        if self._tail is None and (task := self._desk.tasks.get(self._row.id)):
            self._job = job_of(task)
            self._tail = Tail(self._desk, task, self._room, self._tell)

    async def _conclude(self, row: TaskRow) -> None:
        """All that there ever will be is stored, unless we have seen the end on the bus."""
        await self._stop_tail()
        if self.end is None:
            kept = await self._fetch()
            last = await self.in_thread(_end_of, kept) if kept else None
            ring = Ring(last, self._room) if last is not None else self.ring
            ring = ring or Ring(self.first_frame, self._room)
            self._concluded = ring, _end(row, ring.next - self.first_frame)
        self.final = True
        self._wake()

    async def _stop_tail(self) -> None:
        if self._tail:
            self._tail.stop()
            await to_thread.run_sync(self._tail.join, limiter=self._threads)

    async def _fetch(self) -> Path | None:
        """The kept result as a local file; None where there is none."""
        async with self._opening:
            if self._kept is None:
                local = self._storage.local(result_name(self._row.id, RESULTS))
                try:
                    self._kept = await self._open.enter_async_context(local)
                except FileNotFoundError:
                    return None
            return self._kept

    def _tell(self) -> None:
        """From the tail's thread."""
        with suppress(RuntimeError):  # the loop has ended, and we with it
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _end(row: TaskRow, frames: int) -> EndOfStream:
    """What nobody sees any more counts as cancelled."""
    reason = cast("Reason", row.state) if row.state in FINAL else "cancelled"
    return EndOfStream(task_id=row.id, frames=frames, reason=reason, cause=row.cause)


def _end_of(path: Path) -> int:
    found = Stored(path)
    found.close()
    return found.end
