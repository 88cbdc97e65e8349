"""Frames that are not on the bus any more, from the files of their results.

A part is on the disk before its offsets are committed, and only then is a record let go: what was
tracked is on the bus or in a part. At the end the parts become the result, which the keeper moves
into the storage once the task's outcome is known.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from contanos.errors import InputError
from contanos.messages import Detection, FrameResult, encode
from video_analysis.job import Job
from video_analysis.results.layout import Layout
from video_analysis.results.table import SCHEMA, detections, to_table
from video_analysis.results.writer import RESULTS

_FRAMES_AT_ONCE = 64
_ROWS_AT_ONCE = 256  # as Python's objects a row takes a hundred times the room


class Stored:
    """Frames in one file: a part, or a whole result.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: it is gone.
        InputError: it is damaged.

    Attributes:
        first: the first frame's number.
        end: the number after the last one's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as e:
            raise InputError(f"{path} is damaged: {e}") from e
        try:
            self._layout = Layout(self._file.metadata)
        except BaseException:
            self.close()
            raise
        self.first = self._layout.frames.first
        self.end = self.first + len(self._layout.frames.pts)

    def texts(self, frame_id: int) -> Iterator[list[str]]:
        """The frames from `frame_id` on as JSON, some at a time.

        Raises:
            InputError: the file is damaged.
        """
        found: list[str] = []
        for frame in self._frames(frame_id):
            found.append(as_text(frame))
            if len(found) == _FRAMES_AT_ONCE:
                yield found
                found = []
        if found:
            yield found

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _frames(self, start: int) -> Iterator[FrameResult]:
        rows = dropwhile(lambda row: row[0] < start, self._rows(start))
        row = next(rows, None)
        for frame_id in range(start, self.end):
            found = []
            while row is not None and row[0] == frame_id:
                found.append(row[1])
                row = next(rows, None)
            yield self._layout.frame(frame_id, found)

    def _rows(self, start: int) -> Iterator[tuple[int, Detection]]:
        groups = list(self._layout.groups_of(start, self.end))
        if not groups:
            return
        try:
            batches = self._file.iter_batches(
                _ROWS_AT_ONCE, row_groups=groups, columns=SCHEMA.names, use_threads=False
            )
            for batch in batches:
                yield from detections(batch)
        except (OSError, pa.ArrowInvalid) as e:
            raise InputError(f"{self._path} is damaged: {e}") from e


def open_at(paths: Iterable[Path], frame_id: int) -> Stored | None:
    """The first of the files that holds a frame.

    Raises:
        InputError: one is damaged.
    """
    for path in paths:
        with suppress(FileNotFoundError):
            found = Stored(path)
            if found.first <= frame_id < found.end:
                return found
            found.close()
    return None


def files_with(job: Job, frame_id: int) -> list[Path]:
    """Where a frame may be while its task runs, in the order in which to look."""
    parts = [each for each in _parts(job) if int(each.stem) <= frame_id]
    return [*parts[-1:], job.outputs / RESULTS]


def durable_end(job: Job) -> int | None:
    """The number after that of the last frame that is stored; None where none is."""
    for path in (*_parts(job)[-1:], job.outputs / RESULTS):
        with suppress(FileNotFoundError):
            found = Stored(path)
            found.close()
            return found.end
    return None


def as_stored(frames: list[FrameResult]) -> Iterator[FrameResult]:
    """The same frames with the numbers that a result has: the shortest that name 32 bits."""
    found: dict[int, list[Detection]] = {each.frame_id: [] for each in frames}
    for batch in to_table(frames).to_batches():
        for frame_id, detection in detections(batch):
            found[frame_id].append(detection)
    for frame in frames:
        pairs = zip(frame.detections, found[frame.frame_id], strict=True)
        kept = tuple(replace(new, extra=old.extra) for old, new in pairs)
        yield replace(frame, detections=kept, partition=0)


def as_text(frame: FrameResult) -> str:
    """A frame as it is sent."""
    return encode(frame).decode()


def _parts(job: Job) -> list[Path]:
    return sorted(job.parts.glob("[0-9]*.parquet"))
