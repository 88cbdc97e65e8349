"""A folder as a storage."""

import errno
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio import to_thread

from contanos.disk import PARTIAL, as_output_error, remove, sync_folder, whole_file
from video_analysis.backend.storage.contract import CHUNK, checked_name

_DEAD = 3600.0  # seconds after which whoever was keeping a file is not doing so any more


class FolderStorage:
    """Keeps files below one folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, name: str, path: Path) -> int:
        return await to_thread.run_sync(self._keep, self._path(name), path)

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        path = self._path(name)
        if not await anyio.Path(path).is_file():
            raise FileNotFoundError(name)
        yield path

    async def size(self, name: str) -> int | None:
        path = anyio.Path(self._path(name))
        return (await path.stat()).st_size if await path.is_file() else None

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        async with self.local(name) as path, await anyio.open_file(path, "rb") as file:
            await file.seek(start)
            left = CHUNK if end is None else end - start
            while left > 0 and (piece := await file.read(min(CHUNK, left))):
                left -= len(piece) if end is not None else 0
                yield piece

    async def names(self, prefix: str) -> list[str]:
        return await to_thread.run_sync(self._names, self._path(prefix))

    async def remove(self, prefix: str) -> None:
        await to_thread.run_sync(_remove, self._path(prefix))

    async def ready(self) -> None:
        await to_thread.run_sync(self._look)

    async def sweep(self) -> None:
        await to_thread.run_sync(self._sweep)

    async def close(self) -> None:
        pass

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    def _keep(self, kept: Path, path: Path) -> int:
        """By another name for it where both are on one disk, else by copying."""
        with as_output_error(kept):
            self._make(kept.parent)
            size = path.stat().st_size
        with whole_file(kept) as partial, as_output_error(kept):
            try:
                os.link(path, partial)
            except OSError:
                shutil.copyfile(path, partial)
        with as_output_error(path):
            path.unlink()
        for each in kept.parent.glob(f".{kept.name}.*{PARTIAL}"):
            remove(each)  # left by whoever died while keeping it
        return size

    def _make(self, folder: Path) -> None:
        """A folder that survives a power cut, as the files in it do."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            sync_folder(each.parent)

    def _look(self) -> None:
        with as_output_error(self._folder):
            self._make(self._folder)
            if not os.access(self._folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _names(self, root: Path) -> list[str]:
        found = (each for each in root.rglob("*") if each.is_file() and each.suffix != PARTIAL)
        return sorted(each.relative_to(self._folder).as_posix() for each in found)

    def _sweep(self) -> None:
        """By the time of the last change to the entry: a link has its file's older one."""
        for each in self._folder.rglob(f".*{PARTIAL}"):
            with suppress(FileNotFoundError):
                if time.time() - each.stat().st_ctime > _DEAD:
                    remove(each)


def _remove(path: Path) -> None:
    if path.is_dir():
        with as_output_error(path), suppress(FileNotFoundError):
            shutil.rmtree(path)
    else:
        remove(path)
