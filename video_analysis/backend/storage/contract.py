"""What a storage does.

Names are ours alone, never a client's: `uploads/<upload_id>` and `results/<task_id>/<file>`, made
by the functions here from checked ids. A storage refuses any that could lead elsewhere.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from contanos.bus.topics import checked_task_id
from contanos.errors import SettingError

CHUNK = 1 << 20
"""Bytes that are read at once."""

UPLOADS, RESULTS = "uploads", "results"

_NAME = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}(/[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}){0,7}")


class Storage(Protocol):
    """Keeps files whole or not at all. Safe from any task of one event loop.

    Every method raises `SettingError` for a name that `checked_name` refuses, and `OutputError`
    where the storage cannot be reached.
    """

    async def keep(self, name: str, path: Path) -> int:
        """Take a local file in, as `name`, durably; the file is gone afterwards.

        Returns:
            Its size in bytes.

        Raises:
            OutputError: it could not be kept; the file is still there, and nothing else is.
        """

    def local(self, name: str) -> AbstractAsyncContextManager[Path]:
        """What is kept as a local file, as long as the block runs; not to be changed.

        Raises:
            FileNotFoundError: nothing is kept by that name.
        """

    async def size(self, name: str) -> int | None:
        """Bytes of what is kept; None where nothing is."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end` or the last one, in pieces of at most `CHUNK`.

        Raises:
            FileNotFoundError: nothing is kept by that name.
        """

    async def names(self, prefix: str) -> list[str]:
        """Everything whose name starts with `prefix` and a slash, sorted."""

    async def remove(self, prefix: str) -> None:
        """Remove what is called `prefix`, or starts with it and a slash; fine if nothing is."""

    async def ready(self) -> None:
        """Return if it can be reached, and written to as far as that shows without writing."""

    async def sweep(self) -> None:
        """Remove what processes that died have left half done, if it is clear that they did."""

    async def close(self) -> None:
        """Release connections."""


def checked_name(name: str) -> str:
    """`name` unchanged, if it is one that may be kept, or a prefix of such.

    Raises:
        SettingError: it may not.

    >>> checked_name("results/7f3c/annotated.mp4")
    'results/7f3c/annotated.mp4'
    """
    if not _NAME.fullmatch(name):
        raise SettingError(f"{name!r} cannot be the name of a stored file")
    return name


def upload_name(upload_id: str) -> str:
    """What an upload is kept as.

    Raises:
        SettingError: it is no id of ours.
    """
    return f"{UPLOADS}/{checked_task_id(upload_id)}"


def result_name(task_id: str, file: str = "") -> str:
    """What one of a task's outputs is kept as; without `file`, the prefix of all of them.

    Raises:
        SettingError: it is no id of ours.
    """
    return f"{RESULTS}/{checked_task_id(task_id)}" + (f"/{file}" if file else "")
