"""What all live connections of an application share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CancelScope, CapacityLimiter

from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.live.hub import Hub
from video_analysis.backend.live.meter import LiveMeter
from video_analysis.backend.live.watch import Watcher
from video_analysis.backend.storage import Storage
from video_analysis.control.desk import Desk

_THREADS = 4  # that read files for all viewers: inference needs the cores too
_ROOM = 512  # frames, of which a slow viewer may be behind
_CHECK = 30.0  # seconds


class Station:
    """Watches tasks in the database and follows them on the bus, each once for all viewers.

    Args:
        database: where tasks are written down.
        storage: of their results.
        desk: where they run.

    Attributes:
        watcher: of the database.
        meter: counts viewers.
        room: frames of which a viewer may be behind before it is dropped to the newest.
        check_seconds: after which it is looked at again whether somebody may still watch.
        stopped: set once the server is about to stop.
    """

    def __init__(self, database: Database, storage: Storage, desk: Desk) -> None:
        self.watcher = Watcher(database)
        self.meter = LiveMeter()
        self.room = _ROOM
        self.check_seconds = _CHECK
        self.stopped = asyncio.Event()
        self._storage = storage
        self._desk = desk
        self._threads = CapacityLimiter(_THREADS)
        self._hubs: dict[str, Hub] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """As long as the block runs connections may last; then they end, and nothing is left."""
        try:
            yield
        finally:
            self.stopped.set()
            self.watcher.stir()
            for task_id in list(self._hubs):
                self._let_go(task_id)
            await asyncio.gather(*self._closing, return_exceptions=True)

    @asynccontextmanager
    async def hub(self, row: TaskRow) -> AsyncIterator[Hub]:
        """A task's hub, which is there as long as somebody is in this block."""
        hub = self._hubs.get(row.id)
        if hub is None:
            hub = Hub(row, self._desk, self._storage, self.watcher, self._threads, self.room)
            self._hubs[row.id] = hub
        hub.viewers += 1
        try:
            yield hub
        finally:
            hub.viewers -= 1
            if not hub.viewers and self._hubs.get(row.id) is hub:
                closing = self._let_go(row.id)
                with CancelScope(shield=True):
                    await closing

    def _let_go(self, task_id: str) -> "asyncio.Task[None]":
        closing = asyncio.create_task(self._hubs.pop(task_id).close(), name=f"closing {task_id}")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return closing
