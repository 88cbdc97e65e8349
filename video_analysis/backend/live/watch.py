"""How tasks are, for all who watch them: one question to the database for all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow

_PAUSE = 0.5  # seconds between two questions

log = structlog.get_logger(__name__)


class Watch:
    """One task, watched by somebody.

    Attributes:
        latest: its row; None once it was deleted.
    """

    def __init__(self, row: TaskRow) -> None:
        self.latest: TaskRow | None = row
        self._stirred = asyncio.Event()

    def show(self, row: TaskRow | None) -> None:
        """This is how it is now. What came before and was not looked at is forgotten."""
        self.latest = row
        self.stir()

    def stir(self) -> None:
        """Have `changed` return."""
        self._stirred.set()

    async def changed(self, timeout: float | None = None) -> None:
        """Return after a change, or after `timeout` seconds; now and then without a reason."""
        try:
            async with asyncio.timeout(timeout):
                await self._stirred.wait()
        except TimeoutError:
            return
        self._stirred.clear()


class Watcher:
    """Asks while somebody watches: another backend may be the one that writes.

    Args:
        database: where tasks are.
        pause: seconds between two questions.
    """

    def __init__(self, database: Database, pause: float = _PAUSE) -> None:
        self._database = database
        self._pause = pause
        self._watches: dict[str, set[Watch]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asked = float("-inf")

    @asynccontextmanager
    async def watching(self, row: TaskRow) -> AsyncIterator[Watch]:
        """A task, watched as long as the block runs.

        Args:
            row: how it was a moment ago.
        """
        watch = Watch(row)
        self._watches.setdefault(row.id, set()).add(watch)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_on(), name="watcher")
        try:
            yield watch
        finally:
            self._forget(row.id, watch)

    def stir(self) -> None:
        """Have everybody look up."""
        for watches in self._watches.values():
            for each in watches:
                each.stir()

    def _forget(self, task_id: str, watch: Watch) -> None:
        self._watches[task_id].discard(watch)
        if not self._watches[task_id]:
            del self._watches[task_id]
        if not self._watches and self._asking:
            self._asking.cancel()
            self._asking = None

    async def _ask_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._asked + self._pause - loop.time())
            self._asked = loop.time()
            try:
                await self._ask()
            except (SQLAlchemyError, OSError) as e:
                log.warning("it is not known how tasks are", cause=str(e))

    async def _ask(self) -> None:
        wanted = list(self._watches)
        watched = select(TaskRow).where(TaskRow.id.in_(wanted))
        found = await self._database.read(lambda session: list(session.scalars(watched)))
        rows = {each.id: each for each in found if not each.deleted}
        for task_id in wanted:
            for watch in list(self._watches.get(task_id, ())):
                watch.show(rows.get(task_id))
