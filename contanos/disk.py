"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from av.error import FFmpegError

from contanos.errors import OutputError

PARTIAL = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`; on success what lies there becomes `path`, durably.

    Nobody else gets that name: one that was taken for dead and comes back may write the same file.

    Raises:
        OutputError: the disk is full, or the like, once the body is done. Whatever fails, nothing
            is left under either name, save what was at `path` before.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        yield partial
        with as_output_error(path):
            _sync_file(partial)
            os.replace(partial, path)
            sync_folder(path.parent)
    finally:
        remove(partial)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes the name `path`, durably, once the block has ended well.

    Raises:
        OutputError: the disk is full, the folder is missing or may not be written to. Nothing is
            then left of it, and what `path` was before stays as it was.
    """
    with whole_file(path) as partial, as_output_error(path), partial.open("wb") as file:
        yield file


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


def remove(path: Path) -> None:
    """Removes the file `path`, if it is there and can be."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Makes names that were given or taken away in `folder` survive a power cut."""
    if os.name != "posix":  # only there can a folder be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
