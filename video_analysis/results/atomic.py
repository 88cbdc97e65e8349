"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from contanos.errors import OutputError

PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes the name `path` once the block has ended well.

    It is on disk before it has the name, and so is the name before this returns. If the block
    raises, nothing is left of it, and what `path` was before stays as it was.

    Raises:
        OutputError: the disk is full, the folder is missing or may not be written to.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with output_errors(path):
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            with_nothing_there(partial)
        sync_folder(path.parent)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Says of a failing disk which file it was, and what to do."""
    try:
        yield
    except OSError as e:
        reason = e.strerror or str(e)
        raise OutputError(
            f"cannot write {path}: {reason}. Free space or choose another folder, then run again"
        ) from e


def with_nothing_there(path: Path) -> None:
    """Removes the file `path`, if there is one and it can be."""
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:  # its folder is a file: then there is nothing to remove
        return


def sync_folder(folder: Path) -> None:
    """Makes names that were given or taken away in `folder` survive a power cut."""
    if os.name != "posix":  # only there can a folder be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
