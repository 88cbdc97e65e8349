"""Writes a task's result so that a crash at any moment loses nothing that was acknowledged.

Frames are collected into part files. A part's bytes depend on its own frames only; it is on disk
before it has its name, so whatever is named can be relied on. At the end the parts are joined.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contanos.disk import as_output_error, remove, replacing, sync_folder
from contanos.errors import InputError, OutputError
from contanos.messages import FrameResult
from video_analysis.results import index, metadata
from video_analysis.results.index import FrameIndex, FrameIndexWriter
from video_analysis.results.metadata import Metadata
from video_analysis.results.table import PARQUET, SCHEMA, rebatched, to_table

RESULTS = "results.parquet"
PARTS = "results.parts"
FRAMES_PER_PART = 512
ROWS_PER_GROUP = 4096
"""Of the joined result: measured, joining then takes some 25 MB, whatever the length."""


class ResultsWriter:
    """Writes `results.parquet` into a folder.

    Opened on a folder where an earlier writer was interrupted, it goes on: `next_frame` says from
    where, and frames that are held already are ignored.
    """

    def __init__(
        self,
        folder: Path,
        metadata: Metadata,
        frames_per_part: int = FRAMES_PER_PART,
        parts: Path | None = None,
        first: int = 0,
    ) -> None:
        """Opens or continues the result in `folder`, which is made if it is missing.

        The parts lie in `parts`, by default a folder of their own beside the result. `first` is
        the first frame's `frame_id`.

        Raises:
            OutputError: the folder cannot be written to, or holds parts of another task.
        """
        self._folder, self._metadata = folder, metadata
        self._frames_per_part = frames_per_part
        self._folder_of_parts = parts or folder / PARTS
        with as_output_error(self._folder_of_parts):
            self._folder_of_parts.mkdir(parents=True, exist_ok=True)
        self._first = first
        self._durable = self._after_held()
        self._pending: list[FrameResult] = []

    @property
    def durable(self) -> int:
        """How many frames, from the first on, survive a crash at this moment."""
        return self._durable - self._first

    @property
    def next_frame(self) -> int:
        """The `frame_id` that `add` expects next."""
        return self._durable + len(self._pending)

    def add(self, frame: FrameResult) -> None:
        """Takes in one frame; one that is held already is ignored.

        What the message calls `extra` is not stored.

        Raises:
            OutputError: a frame is missing before this one, it is not of this task, size or time
                base, or the disk refused a part.
        """
        if frame.frame_id < self.next_frame:
            return
        self._check(frame)
        self._pending.append(frame)
        if self.next_frame % self._frames_per_part == 0:
            self.checkpoint()

    def checkpoint(self) -> int:
        """Makes every frame so far survive a crash; returns how many there are.

        Raises:
            OutputError: the disk refused.
        """
        if self._pending:
            self._write_part()
            self._durable = self.next_frame
            self._pending = []
        return self.durable

    def finish(self) -> Path:
        """Joins the parts into the result and returns its path; `discard` then removes the parts.

        Raises:
            OutputError: the disk refused; nothing then has the result's name, the parts stay.
        """
        self.checkpoint()
        result = self._folder / RESULTS
        frames = FrameIndexWriter(self._first)
        with replacing(result) as file, pq.ParquetWriter(file, SCHEMA, **PARQUET) as parquet:
            for table in rebatched(self._tables(frames), ROWS_PER_GROUP):
                parquet.write_table(table, ROWS_PER_GROUP)
            if frames.next_frame != self._durable:
                raise OutputError(f"{self._folder_of_parts}: a part is gone; run again")
            parquet.add_key_value_metadata(metadata.to_keys(self._metadata) | frames.to_keys())
        return result

    def discard(self) -> None:
        """Removes the parts; what is not in the result by now is given up."""
        if not self._folder_of_parts.is_dir():
            return
        with as_output_error(self._folder_of_parts):
            for part in self._folder_of_parts.iterdir():
                part.unlink()
            self._folder_of_parts.rmdir()
            sync_folder(self._folder)

    def _check(self, frame: FrameResult) -> None:
        if frame.frame_id != self.next_frame:
            raise OutputError(
                f"frame {frame.frame_id} came where {self.next_frame} was due: frames must be "
                "added in order, without gaps"
            )
        expected = self._metadata
        for field in ("task_id", "width", "height", "time_base", "stage"):
            ours, its = getattr(expected, field), getattr(frame, field)
            if ours != its:
                raise OutputError(
                    f"frame {frame.frame_id} has {field} {its!r}, but this result has {ours!r}"
                )

    def _write_part(self) -> None:
        frames = FrameIndexWriter(self._durable)
        for frame in self._pending:
            frames.add(frame.pts, frame.error)
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, SCHEMA, **PARQUET) as parquet:
            parquet.write_table(to_table(self._pending))
            parquet.add_key_value_metadata(metadata.to_keys(self._metadata) | frames.to_keys())
        with replacing(self._folder_of_parts / f"{self._durable:012d}.parquet") as file:
            file.write(sink.getvalue())

    def _tables(self, frames: FrameIndexWriter) -> Iterator[pa.Table]:
        """The parts' rows, part by part; their frames go into `frames`."""
        for path in self._parts():
            with self._opened(path) as (found, part):
                frames.extend(found)
                yield part.read(use_threads=False)

    def _parts(self) -> list[Path]:
        return sorted(self._folder_of_parts.glob("[0-9]*.parquet"))

    def _after_held(self) -> int:
        """The frame after those that the parts hold; what an interrupted write left is removed."""
        for partial in self._folder_of_parts.glob(".*"):
            remove(partial)
        held = self._first
        for path in self._parts():
            with self._opened(path) as (found, _):
                if found.first != held:
                    raise OutputError(f"{path} starts at frame {found.first}, not {held}: {REMOVE}")
                held += len(found.pts)
        return held

    @contextmanager
    def _opened(self, path: Path) -> Iterator[tuple[FrameIndex, pq.ParquetFile]]:
        try:
            with pq.ParquetFile(path) as part:
                keys = text_keys(part)
                if not metadata.to_keys(self._metadata).items() <= keys.items():
                    raise OutputError(f"{path} belongs to another task or settings: {REMOVE}")
                yield index.from_keys(keys), part
        except (InputError, pa.ArrowInvalid, UnicodeDecodeError) as e:
            raise OutputError(f"{path} is damaged: {REMOVE}") from e


REMOVE = f"remove the folder {PARTS} to start afresh"


def text_keys(file: pq.ParquetFile) -> dict[str, str]:
    """The key-value metadata of a Parquet file."""
    found: dict[bytes, bytes] = file.metadata.metadata or {}
    return {key.decode(): value.decode() for key, value in found.items()}
