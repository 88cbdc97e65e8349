"""Files from a server: by ranges, so that what was cut off goes on, even by another process."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from contanos.client.connection import Connection
from contanos.disk import PARTIAL, as_output_error, remove, replacing, whole_file
from contanos.errors import OutputError, Refused, ServerFailed, TryLater, Unreachable

FileProgress = Callable[[str, int, int], None]
"""Told of a file's name, of bytes that are here, and of all."""

_TAG = re.compile(r'"([0-9A-Za-z_-]{1,64})"')
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")
_NEVER = "none"  # in place of a tag that no file's name can have: it is begun anew each time


class Fetching:
    """One file on its way.

    What has come lies beside `target`, in a file whose name has the version's tag: another
    version begins anew.

    Args:
        connection: to the server.
        address: of the file.
        target: what it becomes once it is whole.
        progress: is told how far it is.
    """

    def __init__(
        self, connection: Connection, address: str, target: Path, progress: FileProgress
    ) -> None:
        self._connection = connection
        self._address = address
        self._target = target
        self._progress = progress

    def fetch(self) -> None:
        """All of it.

        Raises:
            ServerError: it cannot be had; what came is kept, to go on with.
            OutputError: it cannot be written.
        """
        patience, here = self._connection.patience(), self._here()
        while True:
            try:
                self._go_on()
                break
            except (Unreachable, TryLater) as e:
                if self._here() > here:
                    patience.renew()
                here = self._here()
                self._connection.wait(patience, e)
        partial = self._partial()
        assert partial
        with whole_file(self._target) as last, as_output_error(self._target):
            os.replace(partial, last)

    def _go_on(self) -> None:
        """Return once the file is whole."""
        partial = self._partial()
        here, tag = (partial.stat().st_size, _tag_of(partial)) if partial else (0, None)
        headers = {"Accept-Encoding": "identity"}  # offsets are those of the file itself
        if here and tag:
            headers |= {"Range": f"bytes={here}-", "If-Range": f'"{tag}"'}
        try:
            with self._connection.stream("GET", self._address, headers=headers) as answer:
                self._take(answer, here)
        except Refused as e:
            if e.status != 416 or partial is None:
                raise
            remove(partial)  # it has all, or more than there is: what made it was killed
            raise TryLater(str(e), 416, 0.0) from e

    def _take(self, answer: httpx.Response, asked: int) -> None:
        start, total = _place(answer, asked)
        found = _TAG.fullmatch(answer.headers.get("ETag", ""))
        partial = self._named(found[1] if found else _NEVER)
        for each in self._partials():
            if each != partial:
                remove(each)
        with as_output_error(self._target), partial.open("ab") as file:
            file.truncate(start)
            here = start
            for data in answer.iter_raw(1 << 16):
                file.write(data)
                here += len(data)
                self._progress(self._target.name, here, total)
        if here != total:
            raise Unreachable(f"{self._target.name}: {here} of {total} bytes came")

    def _here(self) -> int:
        partial = self._partial()
        return partial.stat().st_size if partial else 0

    def _partial(self) -> Path | None:
        return next(iter(self._partials()), None)

    def _partials(self) -> list[Path]:
        start, found = f".{self._target.name}.", self._target.parent.glob(f".*{PARTIAL}")
        return sorted(each for each in found if each.name.startswith(start))

    def _named(self, tag: str) -> Path:
        return self._target.with_name(f".{self._target.name}.{tag}{PARTIAL}")


def fetch_export(
    connection: Connection, address: str, target: Path, progress: FileProgress
) -> None:
    """An export: made as it is asked for, so that it comes whole or is asked for again.

    Raises:
        ServerError: it cannot be had.
        OutputError: it cannot be written.
    """
    patience = connection.patience()
    while True:
        try:
            with (
                connection.stream("GET", address) as answer,
                replacing(target) as file,
            ):
                total, here = int(answer.headers.get("Content-Length", 0)), 0
                for data in answer.iter_bytes(1 << 16):
                    file.write(data)
                    here += len(data)
                    progress(target.name, here, total)
                return
        except (Unreachable, TryLater) as e:
            connection.wait(patience, e)


@contextmanager
def folder_for(folder: Path) -> Iterator[None]:
    """A folder that nobody else fetches into as long as the block runs; made where it is missing.

    Raises:
        OutputError: it cannot be written to, or somebody else does.
    """
    with as_output_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".contanos-fetch.lock", timeout=0)
    with as_output_error(folder):
        try:
            lock.acquire()
        except Timeout as e:  # which is an OSError too
            raise OutputError(
                f"something else is fetched into {folder}: wait for it, or choose another folder"
            ) from e
    try:
        yield
    finally:
        remove(Path(lock.lock_file))
        lock.release()


def _place(answer: httpx.Response, asked: int) -> tuple[int, int]:
    """Where the bytes of an answer belong, and how many the file has."""
    try:
        if answer.status_code != 206:
            return 0, int(answer.headers["Content-Length"])
        found = _RANGE.fullmatch(answer.headers["Content-Range"])
        if found and int(found[1]) == asked:
            return asked, int(found[2])
    except (KeyError, ValueError) as e:
        raise ServerFailed("the server does not say how long the file is") from e
    raise ServerFailed("the server sends another part of the file than it was asked for")


def _tag_of(partial: Path) -> str | None:
    tag = partial.name.removesuffix(PARTIAL).rpartition(".")[2]
    return None if tag == _NEVER else tag
