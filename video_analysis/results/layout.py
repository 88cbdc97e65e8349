"""Where the rows of a result lie in its file, so that a few are read without the others.

The writer makes row groups of a few thousand rows, in order of frames, and notes of each the least
and the greatest value of its columns: that tells which groups can hold a frame or a track.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contanos.errors import InputError
from contanos.messages import Detection, FrameResult
from video_analysis.results import index, metadata
from video_analysis.results.table import SCHEMA

ENDING = 8
"""Bytes at a file's end: the footer's length, and Parquet's mark."""

_MARK = b"PAR1"
_NEAR = 32 * 1024  # bytes between two columns that are rather read than skipped
_GROUP_MEMORY = 12 * 1024  # bytes of what Parquet tells of one row group, as objects

Span = tuple[int, int]
Pieces = Mapping[int, bytes]
"""Bytes of a file, by where they begin."""


class Layout:
    """What a result's file says of itself.

    Attributes:
        about: what holds for all frames.
        frames: which there are, and their `pts`, which only grow.
        rows: int64 [groups], how many each row group has.
        first_frames: int64 [groups], the first `frame_id` of each.
        last_frames: int64 [groups], the last one.
        least_tracks: int64 [groups], the least `track_id`; 1 in a group without tracks.
        most_tracks: int64 [groups], the greatest one; 0 in a group without tracks.
    """

    def __init__(self, parquet: pq.FileMetaData) -> None:
        """Looks at what Parquet says.

        Raises:
            InputError: it is not of a result of this software.
        """
        self._parquet = parquet
        if not parquet.schema.to_arrow_schema().equals(SCHEMA, check_metadata=False):
            raise InputError("this file has other columns than a result of contanos")
        try:
            keys = {key.decode(): told.decode() for key, told in (parquet.metadata or {}).items()}
        except UnicodeDecodeError as e:
            raise InputError(f"this file's metadata is not text: {e}") from e
        self.about, self.frames = metadata.from_keys(keys), index.from_keys(keys)
        groups = [self._parquet.row_group(number) for number in range(len(self))]
        self.rows = np.array([each.num_rows for each in groups], np.int64)
        self.first_frames, self.last_frames = _extremes(groups, "frame_id")
        self.least_tracks, self.most_tracks = _extremes(groups, "track_id")

    @property
    def memory(self) -> int:
        """Bytes that it takes, about: measured."""
        return int(self.frames.pts.nbytes) + _GROUP_MEMORY * len(self)

    @classmethod
    def of(cls, footer: bytes) -> Self:
        """The layout at the end of a file.

        Args:
            footer: its last bytes, at least as many as `footer_length` says.

        Raises:
            InputError: it is not the end of a result of this software.
        """
        try:
            return cls(pq.read_metadata(pa.BufferReader(footer)))
        except (OSError, pa.ArrowInvalid) as e:
            raise InputError(f"this file cannot be read as Parquet: {e}") from e

    def __len__(self) -> int:
        """How many row groups there are."""
        count: int = self._parquet.num_row_groups
        return count

    def groups_of(self, first_frame: int, end_frame: int) -> range:
        """The row groups with rows of the frames from the first up to the end, if they have any."""
        first = int(np.searchsorted(self.last_frames, first_frame))
        return range(first, max(first, int(np.searchsorted(self.first_frames, end_frame))))

    def with_track(self, groups: range, track_id: int) -> list[int]:
        """Those of the row groups that may hold a track."""
        part = slice(groups.start, groups.stop)
        may = (self.least_tracks[part] <= track_id) & (track_id <= self.most_tracks[part])
        found: list[int] = (np.flatnonzero(may) + groups.start).tolist()
        return found

    def spans(self, group: int, columns: Sequence[str]) -> list[Span]:
        """Where columns of a row group lie: beginnings and ends of pieces, in order."""
        found: list[Span] = []
        for start, end in sorted(_spans(self._parquet.row_group(group), columns)):
            if found and start - found[-1][1] <= _NEAR:
                start = found.pop()[0]
            found.append((start, end))
        return found

    def read(self, group: int, columns: Sequence[str], pieces: Pieces) -> pa.Table:
        """Columns of a row group.

        Args:
            group: its number.
            columns: their names.
            pieces: what `spans` names of them.

        Raises:
            InputError: the bytes are damaged.
        """
        try:
            with pq.ParquetFile(_Sparse(pieces), metadata=self._parquet, pre_buffer=False) as file:
                return file.read_row_group(group, columns=list(columns), use_threads=False)
        except (OSError, pa.ArrowInvalid) as e:
            raise InputError(f"row group {group} is damaged: {e}") from e

    def seconds(self, frame_id: int) -> float:
        """When a frame is shown."""
        numerator, denominator = self.about.time_base
        return int(self.frames.pts[frame_id - self.frames.first]) * numerator / denominator

    def frame(self, frame_id: int, found: Sequence[Detection]) -> FrameResult:
        """A frame with what was found in it."""
        about = self.about
        return FrameResult(
            task_id=about.task_id,
            frame_id=frame_id,
            pts=int(self.frames.pts[frame_id - self.frames.first]),
            time_base=about.time_base,
            width=about.width,
            height=about.height,
            stage=about.stage,
            error=self.frames.failed.get(frame_id),
            detections=tuple(found),
        )


def footer_length(ending: bytes) -> int:
    """How many bytes at a file's end are its footer and ending.

    Args:
        ending: its last `ENDING` bytes.

    Raises:
        InputError: it is no Parquet file.
    """
    if len(ending) != ENDING or not ending.endswith(_MARK):
        raise InputError("this is no Parquet file, or its end is missing")
    return int.from_bytes(ending[:4], "little") + ENDING


def _extremes(groups: Sequence[pq.RowGroupMetaData], column: str) -> tuple[NDArray[np.int64], ...]:
    """The least and the greatest value of a column of integers in each group; 1 and 0 for none."""
    at = SCHEMA.get_field_index(column)  # columns before `bbox` have one leaf each
    told = [group.column(at).statistics for group in groups]
    pairs = [(each.min, each.max) if each.has_min_max else (1, 0) for each in told]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _spans(group: pq.RowGroupMetaData, columns: Sequence[str]) -> Iterator[Span]:
    for number in range(group.num_columns):
        leaf = group.column(number)
        if leaf.path_in_schema.partition(".")[0] in columns:
            start = leaf.dictionary_page_offset or leaf.data_page_offset
            yield start, start + leaf.total_compressed_size


class _Sparse(io.RawIOBase):
    """A file of which only some pieces are there."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._size = max((start + len(piece) for start, piece in pieces.items()), default=0)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        for start, piece in self._pieces.items():
            if start <= self._at < start + len(piece):
                found = piece[self._at - start :][: size if size >= 0 else None]
                self._at += len(found)
                return found
        return b""
