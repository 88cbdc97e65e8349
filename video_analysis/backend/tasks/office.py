"""The office: sees again and again what is to be done for tasks, and has it done.

What it does it reads from the database and the bus, so that it may be killed anywhere, and another
backend or the next start goes on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from anyio import move_on_after
from sqlalchemy.exc import SQLAlchemyError

from contanos.bus.topics import is_task_id
from contanos.errors import BusError, ContanosError
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.results.thumbnail import make_thumbnail
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import RESULTS, result_name
from video_analysis.backend.tasks import books
from video_analysis.backend.tasks.ask import Asking
from video_analysis.backend.tasks.dispatch import dispatch
from video_analysis.backend.tasks.follow import Follower
from video_analysis.backend.tasks.keep import Keeper
from video_analysis.backend.tasks.work import Work
from video_analysis.backend.uploads.intake import Intake
from video_analysis.control.desk import Desk

_LOOK = 0.5  # seconds between two looks, unless something happens
_SWEEP = 600.0  # seconds between two looks for what nobody needs
_SOON = 2.0  # seconds that somebody who ends a task waits for the bus
_TROUBLE = 2.0  # seconds that it rests where the database or the bus cannot be reached

log = structlog.get_logger(__name__)


class Office:
    """Looks after tasks, from the queue to their removal.

    Args:
        settings: of the control plane.
        database: where tasks are written down.
        storage: of their results.
        uploads: has their videos.
        desk: where they are ordered.

    Attributes:
        work: their folders while they run.
        desk: likewise.
    """

    def __init__(
        self,
        settings: BackendSettings,
        database: Database,
        storage: Storage,
        uploads: Intake,
        desk: Desk,
    ) -> None:
        self.work = Work(settings.data_dir / "work")
        self.desk = desk
        self._ask = Asking()
        self._settings = settings
        self._database = database
        self._storage = storage
        keeper = Keeper(database, storage, self.work, make_thumbnail)
        self._follower = Follower(
            settings.claim_seconds, database, uploads, desk, self._ask, self.work, keeper
        )
        self._woken = (asyncio.Event(), asyncio.Event())
        self._swept = -_SWEEP

    def wake(self) -> None:
        """Have a look at once. For the event loop's own thread."""
        for each in self._woken:
            each.set()

    async def stop(self, row: TaskRow) -> None:
        """Have the stages stop a task that is to end, now, or once the bus is back."""
        self.wake()
        if row.state == "running" and self.desk.ordered(row.id):
            end = self.desk.cancel if row.keep_partial else self.desk.drop
            with suppress(BusError), move_on_after(_SOON):
                await self._ask(end, row.id)

    @property
    def name(self) -> str:
        """Of this backend, among those that share the database."""
        return self._follower.name

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Tasks are looked after as long as the block runs."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            with suppress(RuntimeError):  # the loop has ended, and we with it
                loop.call_soon_threadsafe(self.wake)

        self.desk.on_outcome(told)
        both = zip((self.look, self.tidy), self._woken, strict=True)
        running = [asyncio.create_task(self._again(do, woken)) for do, woken in both]
        try:
            yield
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._follower.close()

    async def _again(self, do: Callable[[], Awaitable[None]], woken: asyncio.Event) -> None:
        """Again and again, whatever goes wrong."""
        while True:
            woken.clear()
            try:
                await do()
            except (ContanosError, SQLAlchemyError, OSError) as e:
                log.warning("tasks cannot be looked after", cause=str(e))
                await asyncio.sleep(_TROUBLE)
            except Exception:  # a defect; tasks that it does not concern go on
                log.exception("tasks are not looked after")
                await asyncio.sleep(_TROUBLE)
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), _LOOK)

    async def look(self) -> None:
        """Once at every task that waits or runs."""
        if await dispatch(self._database, self._settings):
            log.info("tasks begin")
        await self._follower.look()

    async def tidy(self) -> None:
        """Once at what is to go. It may take long, and nothing waits for it."""
        for row in await books.deleted(self._database):
            try:
                await self._purge(row.id)
            except (ContanosError, OSError) as e:
                log.warning("a deleted task is not gone yet", task_id=row.id, cause=str(e))
        if time.monotonic() - self._swept >= _SWEEP:
            await self.sweep()
            self._swept = time.monotonic()

    async def sweep(self) -> None:
        """Remove folders of tasks that do not run, and results of tasks that have none.

        A row is there before its files, and runs until they are kept; so these are listed first.
        """
        folders = await self.work.ids()
        kept = set(filter(is_task_id, await self._kept()))
        running, having = await books.having(self._database, sorted(folders | kept))
        for each in sorted(folders - running):
            log.info("removing the folder of a task that is over", task_id=each)
            await self.work.remove(each)
        for each in sorted(kept - having):
            log.info("removing results of no task", task_id=each)
            await self._storage.remove(result_name(each))

    async def _kept(self) -> set[str]:
        return {each.split("/")[1] for each in await self._storage.names(RESULTS)}

    async def _purge(self, task_id: str) -> None:
        """Everything of a task that was deleted: its files, its topics, its row, in this order."""
        await self._storage.remove(result_name(task_id))
        await self.work.remove(task_id)
        if self.desk.ordered(task_id):
            await self._ask(self.desk.end_now, task_id)
            return  # the reconciler deletes its topics, then its order
        await self._ask(self.desk.forget, task_id)
        await books.remove(self._database, task_id)
