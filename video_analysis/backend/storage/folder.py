"""A folder as a storage."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio import to_thread

from contanos.disk import PARTIAL, as_output_error, whole_file
from video_analysis.backend.storage.contract import CHUNK


class FolderStorage:
    """Keeps files below one folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, name: str, path: Path) -> int:
        return await to_thread.run_sync(self._keep, self._folder / name, path)

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        path = self._folder / name
        if not path.is_file():
            raise FileNotFoundError(name)
        yield path

    async def size(self, name: str) -> int | None:
        try:
            return (await anyio.Path(self._folder / name).stat()).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        async with await anyio.open_file(self._folder / name, "rb") as file:
            await file.seek(start)
            left = CHUNK if end is None else end - start
            while left > 0 and (piece := await file.read(min(CHUNK, left))):
                left -= len(piece) if end is not None else 0
                yield piece

    async def names(self, prefix: str) -> list[str]:
        return await to_thread.run_sync(self._names, prefix)

    async def remove(self, prefix: str) -> None:
        await to_thread.run_sync(self._remove, self._folder / prefix)

    async def close(self) -> None:
        pass

    @staticmethod
    def _keep(kept: Path, path: Path) -> int:
        """By renaming where both are on one disk, else by copying."""
        with as_output_error(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            size = path.stat().st_size
        with whole_file(kept) as partial, as_output_error(kept):
            try:
                os.link(path, partial)
            except OSError:
                shutil.copyfile(path, partial)
        path.unlink()
        return size

    def _names(self, prefix: str) -> list[str]:
        root = self._folder / prefix
        found = (each for each in root.rglob("*") if each.is_file() and each.suffix != PARTIAL)
        return sorted(str(each.relative_to(self._folder).as_posix()) for each in found)

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
