"""Keeps what a task has given, once it is over: files into the storage, what counts into its row.

Every step may be cut off and done again: a file that was kept is not in the folder any more, and
the summary, which says what there is, is kept last.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from anyio import to_thread
from msgspec.structs import replace

from contanos.errors import ContanosError
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import result_name
from video_analysis.backend.tasks import books
from video_analysis.backend.tasks.work import Work
from video_analysis.control.books import Outcome
from video_analysis.results.reader import open_results
from video_analysis.results.summary import SUMMARY, Summary, read_summary, write_summary
from video_analysis.results.writer import RESULTS
from video_analysis.workspace import OUTPUTS, VIDEO

THUMBNAIL = "thumbnail.jpg"

Picture = Callable[[Path, Path], None]
"""Makes a thumbnail of a video, the first path, at the second."""

log = structlog.get_logger(__name__)


class Keeper:
    """Ends tasks.

    Args:
        database: where their rows are.
        storage: of their results.
        work: their folders while they run.
        picture: makes thumbnails.
    """

    def __init__(self, database: Database, storage: Storage, work: Work, picture: Picture) -> None:
        self._database = database
        self._storage = storage
        self._work = work
        self._picture = picture

    async def end(self, row: TaskRow, outcome: Outcome) -> None:
        """Have a task be over, and its folder gone; unless it is another backend's by now.

        Raises:
            ContanosError: something could not be kept; it is as before, and can be tried again.
        """
        if outcome.reason == "failed":
            closed = await self._fail(row, outcome.cause or "it is not known why")
        elif row.deleted or (outcome.reason == "cancelled" and not row.keep_partial):
            closed = await self._close_without(row, state="cancelled")
        else:
            closed = await self._keep(row, outcome)
        if closed:
            await self._work.remove(row.id)

    async def _fail(self, row: TaskRow, cause: str) -> bool:
        told = self._work.without_places(row.id, cause)
        return await self._close_without(row, state="failed", cause=told)

    async def _close_without(self, row: TaskRow, **fields: Any) -> bool:
        """No result. Nothing is removed before we know that nobody else keeps it."""
        closed = await books.close(self._database, row, bytes=0, **fields)
        if closed:
            await self._storage.remove(result_name(row.id))
        return closed

    async def _keep(self, row: TaskRow, outcome: Outcome) -> bool:
        out = self._work.out(row.id)
        if not await to_thread.run_sync((out / SUMMARY).exists):
            return await self._recover(row, outcome)
        facts = await to_thread.run_sync(_facts, row, out)
        await to_thread.run_sync(_name_source, row, out)
        await to_thread.run_sync(self._draw, row.id, out)
        total = 0
        for name in (*(each for each in (*OUTPUTS, THUMBNAIL) if each != SUMMARY), SUMMARY):
            total += await self._keep_file(row.id, out / name)
        return await books.close(self._database, row, state=outcome.reason, bytes=total, **facts)

    async def _recover(self, row: TaskRow, outcome: Outcome) -> bool:
        """All was kept, and the row not written before somebody died; or there is nothing."""
        name = result_name(row.id, SUMMARY)
        if await self._storage.size(name) is None:
            if outcome.reason == "cancelled":
                return await self._close_without(row, state="cancelled")
            return await self._fail(
                row, "its results were lost before they were kept: run it again"
            )
        data = result_name(row.id, RESULTS)
        async with self._storage.local(data) as results, self._storage.local(name) as summary:
            facts = await to_thread.run_sync(_facts_of, row, summary, results)
        sizes = [await self._storage.size(each) for each in await self._names(row.id)]
        total = sum(each or 0 for each in sizes)
        return await books.close(self._database, row, state=outcome.reason, bytes=total, **facts)

    async def _names(self, task_id: str) -> list[str]:
        return await self._storage.names(result_name(task_id))

    async def _keep_file(self, task_id: str, path: Path) -> int:
        name = result_name(task_id, path.name)
        if await to_thread.run_sync(path.exists):
            return await self._storage.keep(name, path)
        return await self._storage.size(name) or 0

    def _draw(self, task_id: str, out: Path) -> None:
        """A result without a thumbnail is a result."""
        if not (out / VIDEO).exists() or (out / THUMBNAIL).exists():
            return
        try:
            self._picture(out / VIDEO, out / THUMBNAIL)
        except (ContanosError, OSError, ValueError) as e:
            log.warning("no thumbnail", task_id=task_id, cause=str(e))


def _name_source(row: TaskRow, out: Path) -> None:
    """Users know their video by its label; where it lies on the server is nothing to them."""
    summary = read_summary(out)
    write_summary(replace(summary, source=replace(summary.source, path=row.label)), out)


def _facts(row: TaskRow, out: Path) -> dict[str, Any]:
    return _facts_of(row, out / SUMMARY, out / RESULTS)


def _facts_of(row: TaskRow, summary_file: Path, results: Path) -> dict[str, Any]:
    """What the row says of a result.

    Raises:
        InputError: the files are damaged.
    """
    summary = read_summary(summary_file)
    fields = {"frames": summary.proof.tracked, "proof": proof_of(summary), "fps": None}
    if not row.seconds and results.exists():  # the header did not say how long it is
        fields["seconds"] = _seconds_in(results)
    return fields


def proof_of(summary: Summary) -> dict[str, Any]:
    """The proof of completeness as users see it."""
    counted: dict[str, Any] = msgspec.to_builtins(summary.proof)
    return counted | {"complete": summary.complete, "truncated": summary.source.truncated}


def _seconds_in(results: Path) -> float:
    found = open_results(results)
    first, last = (int(found.pts[0]), int(found.pts[-1])) if len(found) else (0, 0)
    numerator, denominator = found.metadata.time_base
    return (last - first) * numerator / denominator
