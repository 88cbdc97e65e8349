"""Results in other formats: made when they are asked for, sent, and removed.

They are not kept. As text a result takes several times its room, and most are fetched once: kept
beside the result they would use up a quota that nobody expects them to, or fill the disk without
counting at all. Nor are they sent while they are made: what cannot be exported would then show
as an answer that breaks off, and a slow client would keep a thread busy.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
from anyio import CancelScope, to_thread

from contanos.disk import remove
from contanos.errors import InputError, OutputError, SettingError
from video_analysis.backend.problems import refused
from video_analysis.backend.results.name import disposition
from video_analysis.backend.results.stream import Body
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import CHUNK, result_name
from video_analysis.backend.storage.scratch import Scratch
from video_analysis.backend.uploads.room import look_for_disk
from video_analysis.results.export import DEFAULT_NAMES, export
from video_analysis.results.reader import open_results
from video_analysis.results.writer import RESULTS
from video_analysis.settings import ExportFormat

AT_ONCE, OF_ONE_USER = 4, 2
"""Exports that are made or sent at once; the disk holds no more of them."""

MEDIA_TYPES: dict[ExportFormat, str] = {
    "coco": "application/json",
    "mot": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}

_GROWTH, _A_FRAME = 4, 400  # bytes of text for each byte of a result and for each frame, at most
_LATER = "10"  # seconds


class Wanted(NamedTuple):
    """An export.

    Attributes:
        user_id: whose turn it takes.
        task_id: of the result.
        label: of the task.
        format: of the export.
    """

    user_id: str
    task_id: str
    label: str
    format: ExportFormat


class Exports:
    """Makes exports.

    Args:
        settings: of the control plane.
        storage: where results are kept.
    """

    def __init__(self, settings: BackendSettings, storage: Storage) -> None:
        self._folder = settings.data_dir / "exports"
        self._scratch = Scratch(self._folder)
        self._storage = storage
        self._naming = asyncio.Lock()  # the first name makes the folder
        self._busy: Counter[str] = Counter()

    @asynccontextmanager
    async def made(self, wanted: Wanted) -> AsyncIterator[Body]:
        """An export to be sent, there as long as the block runs.

        Raises:
            HTTPException: 429 or 503, too many are being made or sent.
            SettingError: the result cannot fill this format.
            OutputError: there is no room for it, or the result cannot be read.
        """
        with self._turn(wanted.user_id):
            async with self._naming:
                path = await to_thread.run_sync(self._scratch.path)
            try:
                await self._make(wanted, path)
                async with await anyio.open_file(path, "rb") as file:
                    yield Body(_headers(wanted, path.stat().st_size), _pieces(file))
            finally:
                remove(path)

    async def sweep(self) -> None:
        """Remove what processes that died have left."""
        await to_thread.run_sync(self._scratch.sweep)

    async def close(self) -> None:
        """Remove what is left of ours."""
        await to_thread.run_sync(self._scratch.close)

    @contextmanager
    def _turn(self, user_id: str) -> Iterator[None]:
        if self._busy[user_id] >= OF_ONE_USER:
            raise refused(
                429,
                f"{OF_ONE_USER} of your exports are on their way: wait for one of them",
                Retry_After=_LATER,
            )
        if self._busy.total() >= AT_ONCE:
            raise refused(503, "too many exports are on their way", Retry_After=_LATER)
        self._busy[user_id] += 1
        try:
            yield
        finally:
            self._busy[user_id] -= 1
            self._busy += Counter()  # forgets those that have none

    async def _make(self, wanted: Wanted, path: Path) -> None:
        """Given up, once the thread has noticed, when whoever waits for it is gone."""
        gone = threading.Event()
        async with self._stored(wanted.task_id) as stored:
            making = asyncio.create_task(
                asyncio.to_thread(_export, stored, wanted.format, path, gone)
            )
            try:
                await asyncio.shield(making)
            except asyncio.CancelledError:
                gone.set()
                with CancelScope(shield=True):
                    await asyncio.wait([making])
                making.exception()
                raise

    @asynccontextmanager
    async def _stored(self, task_id: str) -> AsyncIterator[Path]:
        try:
            async with self._storage.local(result_name(task_id, RESULTS)) as path:
                yield path
        except FileNotFoundError as e:
            raise refused(404, f"task {task_id} was deleted just now") from e


def _export(stored: Path, to: ExportFormat, path: Path, gone: threading.Event) -> None:
    try:
        results = open_results(stored)
        expected = _GROWTH * stored.stat().st_size + _A_FRAME * len(results)
        look_for_disk(path.parent, expected)
        export(results, to, path, gone.is_set)
    except SettingError:
        raise
    except InputError as e:  # what is damaged here is no fault of whoever asks
        raise OutputError(str(e)) from e


def _headers(wanted: Wanted, size: int) -> dict[str, str]:
    name = DEFAULT_NAMES[wanted.format]
    return {
        "Content-Type": MEDIA_TYPES[wanted.format],
        "Content-Length": str(size),
        "Content-Disposition": disposition(wanted.label, name.removeprefix("results.")),
        "Cache-Control": "private, no-store",
        "Accept-Ranges": "none",
    }


async def _pieces(file: anyio.AsyncFile[bytes]) -> AsyncIterator[bytes]:
    while piece := await file.read(CHUNK):
        yield piece
