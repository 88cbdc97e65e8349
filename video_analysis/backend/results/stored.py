"""Results where they are kept, read a piece at a time: from a folder or an object store alike.

Of a long result a page needs little: the file's footer, which is kept in memory for a while, and
the row groups that the page lies in.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import ParamSpec, TypeVar

import pyarrow as pa
from anyio import CapacityLimiter, to_thread

from contanos.errors import InputError, OutputError
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import result_name
from video_analysis.results.layout import ENDING, Layout, Span, footer_length
from video_analysis.results.tracks import TrackTotals
from video_analysis.results.writer import RESULTS

_ROOM = 64 << 20  # bytes of footers that are kept: of ten hours with five people it takes 24 MB
_AT_ONCE = 8  # requests that read at the same time; each holds a few row groups
_THREADS = 2  # that decode for all of them: inference needs the cores too
_GUESS = 64 * 1024  # bytes of a footer, of all but the longest results

P = ParamSpec("P")
T = TypeVar("T")


class StoredResult:
    """One result.

    Args:
        storage: where it is kept.
        name: by that name.
        layout: what its footer says.
        threads: for what takes long.

    Attributes:
        layout: likewise.
        totals: its tracks, once somebody has counted them.
        counting: held by whoever does.
    """

    def __init__(
        self, storage: Storage, name: str, layout: Layout, threads: CapacityLimiter
    ) -> None:
        self.layout = layout
        self.totals: TrackTotals | None = None
        self.counting = asyncio.Lock()
        self._storage = storage
        self._name = name
        self._threads = threads

    async def rows(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Columns of a row group; nothing else is read.

        Raises:
            OutputError: the storage cannot be reached, or holds something else by now.
        """
        spans = self.layout.spans(group, columns)
        pieces = {
            start: await fetch(self._storage, self._name, (start, end)) for start, end in spans
        }
        with _as_ours(self._name):
            return await self.in_thread(self.layout.read, group, columns, pieces)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        """What `work` returns, done beside the event loop."""
        return await to_thread.run_sync(work, *args, limiter=self._threads)


class Readings:
    """Opens results, few at a time, and keeps those of late open.

    Args:
        storage: where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._opened: OrderedDict[tuple[str, int], StoredResult] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._threads = CapacityLimiter(_THREADS)

    @asynccontextmanager
    async def reading(self, task_id: str, size: int) -> AsyncIterator[StoredResult]:
        """A task's result, once it is our turn.

        Args:
            task_id: whose it is.
            size: of its file, in bytes.

        Raises:
            OutputError: the storage cannot be reached, or what it holds is damaged.
        """
        async with self._turns:
            yield await self._open(result_name(task_id, RESULTS), size)

    async def _open(self, name: str, size: int) -> StoredResult:
        result = self._opened.get((name, size))
        if result is None:
            layout = await self._layout(name, size)
            result = StoredResult(self._storage, name, layout, self._threads)
            self._opened[name, size] = result
        self._opened.move_to_end((name, size))
        self._make_room()
        return result

    def _make_room(self) -> None:
        """Forget what was not asked for longest; what is read right now is kept by who reads it."""
        taken = sum(each.layout.memory for each in self._opened.values())
        while taken > _ROOM and len(self._opened) > 1:
            _, forgotten = self._opened.popitem(last=False)
            taken -= forgotten.layout.memory

    async def _layout(self, name: str, size: int) -> Layout:
        with _as_ours(name):
            footer = await fetch(self._storage, name, (max(0, size - _GUESS), size))
            length = min(footer_length(footer[-ENDING:]), size)
            if length > len(footer):
                footer = await fetch(self._storage, name, (size - length, size))
            return await to_thread.run_sync(Layout.of, footer, limiter=self._threads)


async def fetch(storage: Storage, name: str, span: Span) -> bytes:
    """A piece of what is kept.

    Raises:
        OutputError: the storage cannot be reached, or holds less.
    """
    start, end = span
    try:
        found = b"".join([piece async for piece in storage.read(name, start, end)])
    except FileNotFoundError as e:
        raise OutputError(f"{name} is gone") from e
    if len(found) != end - start:
        raise OutputError(f"{name} ends before byte {end}")
    return found


@contextmanager
def _as_ours(name: str) -> Iterator[None]:
    """What is damaged here is no fault of whoever asks."""
    try:
        yield
    except InputError as e:
        raise OutputError(f"{name}: {e}") from e
