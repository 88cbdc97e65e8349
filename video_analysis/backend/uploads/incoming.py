"""Uploads on their way: one file each in a folder, held by one request or check at a time.

All backends of an installation share the folder. Who holds an upload has a lock on a file beside
it, which the system frees however they end.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from filelock import FileLock, Timeout

from contanos.bus.topics import checked_task_id
from contanos.disk import remove
from video_analysis.backend.uploads.faults import Busy

_LOCK = ".lock"


class Incoming:
    """The folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, upload_id: str) -> Path:
        """Where an upload's bytes are.

        Raises:
            SettingError: it is no id of ours.
        """
        return self._folder / checked_task_id(upload_id)

    async def size(self, upload_id: str) -> int:
        """Bytes that are there."""
        return await to_thread.run_sync(_size, self.path(upload_id))

    @asynccontextmanager
    async def held(self, upload_id: str) -> AsyncIterator[Path]:
        """The upload's file, ours alone as long as the block runs; it need not be there yet.

        Raises:
            Busy: it is somebody else's.
        """
        path = self.path(upload_id)
        lock = FileLock(path.with_suffix(_LOCK), timeout=0, thread_local=False)
        await to_thread.run_sync(_acquire, lock)
        try:
            yield path
        finally:
            lock.release()

    async def remove(self, upload_id: str) -> None:
        """Whatever is there of it."""
        path = self.path(upload_id)
        await to_thread.run_sync(remove, path)
        await to_thread.run_sync(remove, path.with_suffix(_LOCK))

    async def ids(self) -> set[str]:
        """Uploads of which anything is there."""
        return await to_thread.run_sync(self._ids)

    def _ids(self) -> set[str]:
        return {each.stem for each in self._folder.glob("*")}


def _acquire(lock: FileLock) -> None:
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout as e:
        raise Busy("another request is sending this upload: wait for its end") from e


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
