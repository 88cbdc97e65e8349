"""Follows the tasks that run: ordered from the stages, their progress noted, kept once over."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from msgspec import convert
from sqlalchemy.exc import SQLAlchemyError

from contanos.errors import ContanosError, InputError
from contanos.service.pace import Pace
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow, Upload, new_id
from video_analysis.backend.tasks import books
from video_analysis.backend.tasks.ask import Asking
from video_analysis.backend.tasks.keep import Keeper
from video_analysis.backend.tasks.work import Work
from video_analysis.backend.uploads.intake import Intake
from video_analysis.control.books import Outcome
from video_analysis.control.desk import Desk
from video_analysis.settings import Options

_NOTED = 1.0  # seconds between two notes of how far tasks are
_WAITS = "the server cannot go on with it at the moment, and tries again"
_GONE = "its video is not there any more: upload it again"

log = structlog.get_logger(__name__)


class Follower:
    """Looks after the tasks that run and are this backend's.

    What takes long for one task is done beside the others, once at a time.

    Args:
        claim_seconds: for which a task is this backend's, unless it says so again.
        database: where they are written down.
        uploads: has their videos.
        desk: where they are ordered.
        ask: asks there.
        work: their folders.
        keeper: ends them.

    Attributes:
        name: of this backend, among those that share the database.
    """

    def __init__(
        self,
        claim_seconds: float,
        database: Database,
        uploads: Intake,
        desk: Desk,
        ask: Asking,
        work: Work,
        keeper: Keeper,
    ) -> None:
        self._claim_seconds = claim_seconds
        self._database = database
        self._uploads = uploads
        self._desk = desk
        self._ask = ask
        self._work = work
        self._keeper = keeper
        self.name = new_id()
        self._pace = Pace()
        self._noted = 0.0
        self._noting: asyncio.Task[None] | None = None
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Do what is next for each of them."""
        rows = await books.claimed(self._database, self.name, self._claim_seconds)
        going = [each for each in rows if not self._attend(each)]
        idle = self._noting is None or self._noting.done()
        if going and idle and time.monotonic() - self._noted >= _NOTED:
            self._noted = time.monotonic()
            self._noting = asyncio.create_task(self._note_safely(going), name="progress")

    async def close(self) -> None:
        """Leave everything as it is."""
        busy = [*self._busy.values(), *([self._noting] if self._noting else [])]
        for each in busy:
            each.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

    def _attend(self, row: TaskRow) -> bool:
        """Whether there is something to do for a task but to wait; it is then being done."""
        if row.id in self._busy:
            return True
        if step := self._next_step(row):
            task = asyncio.create_task(self._do(row, step), name=f"task {row.id}")
            self._busy[row.id] = task
            task.add_done_callback(lambda _: self._busy.pop(row.id, None))
        return step is not None

    def _next_step(self, row: TaskRow) -> Callable[[TaskRow], Awaitable[None]] | None:
        outcome = self._desk.outcome(row.id)
        if outcome:
            return lambda row: self._end(row, outcome)
        if not self._desk.ordered(row.id):
            return self._end_unordered if row.cancel else self._order
        if row.cancel and not self._desk.asked_to_end(row.id, dropped=not row.keep_partial):
            return self._cancel
        return None

    async def _do(self, row: TaskRow, step: Callable[[TaskRow], Awaitable[None]]) -> None:
        """The boundary of one task: its trouble is no other's; the next look tries again."""
        try:
            await step(row)
        except (ContanosError, SQLAlchemyError, OSError) as e:
            log.warning("a task waits", task_id=row.id, cause=str(e))
            await self._explain(row)
        except Exception:  # a defect, or a file that nobody foresaw
            log.exception("a task is not looked after", task_id=row.id)
            await self._explain(row)

    async def _explain(self, row: TaskRow) -> None:
        """Tell its user that it waits, and let a while pass; operators read why in the log."""
        with suppress(SQLAlchemyError, OSError):
            await books.note(self._database, {row.id: {"reason": _WAITS}})
        await asyncio.sleep(_NOTED)

    async def _order(self, row: TaskRow) -> None:
        try:
            video = await self._video(row)
        except (InputError, FileNotFoundError) as e:
            cause = _GONE if isinstance(e, FileNotFoundError) else str(e)
            await self._keeper.end(row, Outcome(reason="failed", at=time.time(), cause=cause))
            return
        if await books.held(self._database, row.id, self.name) is None:
            return  # we were away: another has ordered it, and it may be long over
        options = convert(row.options, Options)
        out = self._work.out(row.id)
        await self._ask(self._desk.order, row.id, video, out, options)

    async def _video(self, row: TaskRow) -> Path:
        """A file that stays there as long as the task runs."""
        async with self._database.reading() as session:
            upload = await session.get(Upload, row.upload_id) if row.upload_id else None
        if upload is None:
            raise InputError("its video was deleted")
        async with self._uploads.video_of(upload) as video:
            if upload.source == "media":
                return video
            return await self._work.bring(row.id, video)

    async def _cancel(self, row: TaskRow) -> None:
        end = self._desk.cancel if row.keep_partial else self._desk.drop
        await self._ask(end, row.id)

    async def _end_unordered(self, row: TaskRow) -> None:
        """Cancelled before it was ordered; or a bus that died had the order, and there is more."""
        await self._end(row, Outcome(reason="cancelled", at=time.time()))

    async def _end(self, row: TaskRow, outcome: Outcome) -> None:
        now = await books.held(self._database, row.id, self.name)
        if now is None:
            return
        try:
            await self._keeper.end(now, outcome)
        except InputError as e:
            log.exception("a result cannot be kept", task_id=row.id)
            failed = Outcome(reason="failed", at=outcome.at, cause=f"its result is damaged: {e}")
            await self._keeper.end(now, failed)

    async def _note_safely(self, rows: list[TaskRow]) -> None:
        """Beside the looks: the bus may take long to answer, and claims do not wait."""
        try:
            await self._note(rows)
        except (ContanosError, SQLAlchemyError, OSError) as e:
            log.warning("the progress of tasks is not known", cause=str(e))

    async def _note(self, rows: list[TaskRow]) -> None:
        ids = [each.id for each in rows]
        seen = await self._ask(self._desk.progress, ids)
        found: dict[str, dict[str, Any]] = {}
        for task_id, (progress, total) in seen.items():
            frames = min(each.done for each in progress.values())
            fps = self._pace.note(task_id, frames, time.monotonic())
            fields = {"frames": frames, "fps": fps, "frames_total": total, "reason": None}
            found[task_id] = fields
        self._pace.keep(ids)
        if found:
            await books.note(self._database, found)
