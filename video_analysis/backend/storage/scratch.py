"""A folder for what is only there as long as it is read, removed with its process or after it."""

import secrets
import shutil
import threading
from pathlib import Path

from filelock import FileLock, Timeout

_LOCK = ".lock"


class Scratch:
    """A folder of one owner inside one that many share.

    Whoever holds its lock lives; a crash frees the lock, and the next sweep removes the folder.
    Safe from any thread.

    Args:
        shared: the folder of all; made with the first file.
    """

    def __init__(self, shared: Path) -> None:
        self._shared = shared
        self._folder = shared / secrets.token_hex(8)
        self._lock = FileLock(self._folder.with_suffix(_LOCK), thread_local=False)
        self._making = threading.Lock()

    def path(self) -> Path:
        """A name for another file."""
        with self._making:
            if not self._lock.is_locked:
                self._shared.mkdir(parents=True, exist_ok=True)
                self._lock.acquire()
                self._folder.mkdir()
        return self._folder / secrets.token_hex(8)

    def sweep(self) -> None:
        """Remove the folders of owners that are no more."""
        for each in self._shared.glob(f"*{_LOCK}"):
            if each != Path(self._lock.lock_file):
                _remove_dead(each)

    def close(self) -> None:
        """Remove ours."""
        if self._lock.is_locked:
            shutil.rmtree(self._folder, ignore_errors=True)
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()


def _remove_dead(lock_file: Path) -> None:
    lock = FileLock(lock_file, timeout=0)
    try:
        with lock:
            shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            lock_file.unlink(missing_ok=True)
    except Timeout:
        pass
