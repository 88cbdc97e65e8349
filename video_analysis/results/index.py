"""The frames of a result, those without people too: their `pts`, and why some failed.

It lies in the Parquet file's metadata, compressed: differences of `pts` repeat themselves, so ten
hours at a constant rate take some ten kilobytes.
"""

import base64
import zlib
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from contanos.errors import InputError
from video_analysis.results.metadata import PREFIX

FIRST, FRAMES = PREFIX + "first_frame", PREFIX + "frames"
PTS, FAILED = PREFIX + "pts", PREFIX + "failed"
CHUNK = 4096


class FrameIndex(msgspec.Struct, frozen=True):
    """Frames `first` to `first + len(pts) - 1`.

    Attributes:
        first: the first frame's `frame_id`.
        pts: int64 [frames], in units of the time base.
        failed: for the frames that could not be processed, why.
    """

    first: int
    pts: NDArray[np.int64]
    failed: dict[int, str]


class FrameIndexWriter:
    """Builds an index frame by frame, in memory that grows with its compressed size only."""

    def __init__(self, first: int) -> None:
        """Starts with the frame `first`."""
        self._first = first
        self._frames = 0
        self._last_pts = 0
        self._pending: list[int] = []
        self._pts, self._failed = _Compressed(), _Compressed()

    @property
    def next_frame(self) -> int:
        """The `frame_id` that `add` expects."""
        return self._first + self._frames

    def add(self, pts: int, error: str | None) -> None:
        """Takes in the next frame."""
        if error is not None:
            self._failed.add(msgspec.json.encode((self.next_frame, error)) + b"\n")
        self._pending.append(pts - self._last_pts)
        self._last_pts = pts
        self._frames += 1
        if len(self._pending) == CHUNK:
            self._flush()

    def extend(self, other: FrameIndex) -> None:
        """Takes in the frames of `other`, which must follow."""
        for frame_id, pts in enumerate(other.pts.tolist(), other.first):
            self.add(pts, other.failed.get(frame_id))

    def to_keys(self) -> dict[str, str]:
        """The finished index as metadata; nothing may be added any more."""
        self._flush()
        numbers = {FIRST: str(self._first), FRAMES: str(self._frames)}
        return numbers | {PTS: self._pts.finish(), FAILED: self._failed.finish()}

    def _flush(self) -> None:
        self._pts.add(np.array(self._pending, "<i8").tobytes())
        self._pending.clear()


def from_keys(keys: Mapping[str, str]) -> FrameIndex:
    """The index in a file's metadata.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        steps = np.frombuffer(_decompressed(keys[PTS]), "<i8")
        failed = dict(map(_failure, _decompressed(keys[FAILED]).splitlines()))
        first, frames = int(keys[FIRST]), int(keys[FRAMES])
    except (KeyError, ValueError, zlib.error, msgspec.MsgspecError) as e:
        raise InputError(
            f"the frame index of this Parquet file is missing or damaged: {e!r}"
        ) from e
    if len(steps) != frames:
        raise InputError(f"the frame index names {len(steps)} frames of {frames}")
    return FrameIndex(first, np.cumsum(steps, dtype=np.int64), failed)


class _Compressed:
    """Bytes that are compressed as they come."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(6)
        self._chunks: list[bytes] = []

    def add(self, data: bytes) -> None:
        if chunk := self._compressor.compress(data):
            self._chunks.append(chunk)

    def finish(self) -> str:
        return base64.b64encode(b"".join([*self._chunks, self._compressor.flush()])).decode()


def _decompressed(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text, validate=True))


def _failure(line: bytes) -> tuple[int, str]:
    return msgspec.json.decode(line, type=tuple[int, str])
