"""Bytes onto the disk: in large writes, off the event loop, flushed before anybody is told."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import anyio
from anyio import to_thread

from video_analysis.backend.uploads.faults import Silent, disk_error

_WRITE = 1 << 20  # bytes that are collected in memory before they are written
_FLUSH = 64 << 20  # bytes after which the disk must have what was written
_NOTE = 10.0  # seconds between notes of how far it is

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

Note = Callable[[int], Awaitable[None]]


class Sink:
    """A file that grows at its end.

    Args:
        descriptor: of the file, open.

    Attributes:
        size: of the file, with what is still in memory.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = bytearray()
        self._dirty = 0
        self.size = os.lseek(descriptor, 0, os.SEEK_END)

    async def write(self, piece: bytes) -> None:
        """Append.

        Raises:
            OutputError: the disk is full, or broken; what was written is counted.
        """
        self._held += piece
        self.size += len(piece)
        if len(self._held) >= _WRITE:
            await to_thread.run_sync(self._write)

    async def flush(self) -> None:
        """Return once everything is on the disk.

        Raises:
            OutputError: it is not.
        """
        await to_thread.run_sync(self._flush)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)

    def _write(self) -> None:
        """What a full disk did not take is dropped, so that `size` stays true."""
        held, self._held = self._held, bytearray()
        start = self.size - len(held)
        done = 0
        try:
            while done < len(held):
                done += os.write(self._descriptor, memoryview(held)[done:])
        except OSError as e:
            self.size = start + done
            raise disk_error(e) from e
        self._dirty += done
        if self._dirty >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._write()
        try:
            os.fsync(self._descriptor)
        except OSError as e:
            raise disk_error(e) from e
        self._dirty = 0


@asynccontextmanager
async def appending(path: Path, afresh: bool = False) -> AsyncIterator[Sink]:
    """A sink at the end of a file, made where it is missing; flushed whatever ends the block.

    Args:
        path: the file.
        afresh: throw away what is there.

    Raises:
        OutputError: it cannot be opened, or not all of it could be written.
    """
    try:
        descriptor = await to_thread.run_sync(
            os.open, path, _FLAGS | (os.O_TRUNC if afresh else 0), 0o600
        )
    except OSError as e:
        raise disk_error(e) from e
    sink = Sink(descriptor)
    try:
        yield sink
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await sink.flush()
            finally:
                sink.close()


async def pour(pieces: AsyncIterator[bytes], sink: Sink, idle: float, note: Note) -> None:
    """Append pieces until they end.

    Args:
        pieces: from a client; may raise what it likes.
        sink: where to.
        idle: seconds that a piece may take.
        note: told now and then how large the file is; what it raises ends this.

    Raises:
        Silent: no piece came for so long.
        OutputError: the disk is full, or broken.
    """
    noted = monotonic()
    while piece := await _next(pieces, idle):
        await sink.write(piece)
        if monotonic() - noted > _NOTE:
            await note(sink.size)
            noted = monotonic()


async def _next(pieces: AsyncIterator[bytes], idle: float) -> bytes | None:
    """The next piece that has bytes; None after the last."""
    try:
        with anyio.fail_after(idle):
            async for piece in pieces:
                if piece:
                    return piece
    except TimeoutError as e:
        raise Silent(f"no byte came for {idle:g} s: go on from where HEAD says it is") from e
    return None
