"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from av.error import FFmpegError

from contanos.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`; on success what lies there becomes `path`, durably.

    Raises:
        OutputError: the disk is full, or the like, once the body is done. Whatever fails, nothing
            is left under either name, save what was at `path` before.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with as_output_error(path):
            _sync(part)
            os.replace(part, path)
            _sync(path.parent)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            part.unlink()


@contextmanager
def as_output_error(path: Path) -> Iterator[None]:
    """Turns a failure to write into an `OutputError` that names the file."""
    try:
        yield
    except (OSError, FFmpegError) as e:
        reason = e.strerror or str(e)
        raise OutputError(
            f"{path} could not be written: {reason}; make room or choose another folder"
        ) from e


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
