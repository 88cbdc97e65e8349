"""Reads a stored result as a stream: memory does not grow with its length."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contanos.errors import InputError
from contanos.messages import Detection, FrameResult
from video_analysis.results import index, metadata
from video_analysis.results.metadata import Metadata
from video_analysis.results.table import SCHEMA, detections
from video_analysis.results.writer import RESULTS, text_keys

BATCH = 2048


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One person's stay in the picture.

    Attributes:
        track_id: unique within the task.
        first_frame: the `frame_id` of the first detection.
        last_frame: of the last one.
        detections: how many there are; fewer than frames where the person was hidden.
    """

    track_id: int
    first_frame: int
    last_frame: int
    detections: int


class Results:
    """A stored result; iterating over it gives every frame in order, also those without people.

    Attributes:
        metadata: what holds for all frames.
        first: the first frame's `frame_id`.
        pts: int64 [frames], presentation times in units of the metadata's time base.
        failed: why frames could not be processed, by `frame_id`.
    """

    def __init__(self, path: Path, metadata: Metadata, frames: index.FrameIndex) -> None:
        """Use `open_results`."""
        self._path = path
        self.metadata = metadata
        self.first = frames.first
        self.pts = frames.pts
        self.failed = frames.failed

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.pts)

    def __iter__(self) -> Iterator[FrameResult]:
        """Each frame as its last stage described it.

        Numbers are the shortest decimals that name the stored 32-bit values.
        """
        rows = chain(self._rows(), [(-1, None)])
        row_frame, detection = next(rows)
        for frame_id in range(self.first, self.first + len(self)):
            found = []
            while row_frame == frame_id and detection is not None:
                found.append(detection)
                row_frame, detection = next(rows)
            yield self._frame(frame_id, tuple(found))

    def tracks(self) -> list[Track]:
        """All tracks, by `track_id`."""
        found: dict[int, Track] = {}
        for batch in self._batches(["frame_id", "track_id"]):
            known = batch.filter(batch.column("track_id").is_valid())
            frames = known.column("frame_id").to_numpy()
            track_ids = known.column("track_id").to_numpy()
            for track_id in np.unique(track_ids).tolist():
                new = _track(track_id, frames[track_ids == track_id])
                found[track_id] = _joined(found.get(track_id, new), new, track_id in found)
        return [found[track_id] for track_id in sorted(found)]

    def _frame(self, frame_id: int, found: tuple[Detection, ...]) -> FrameResult:
        about = self.metadata
        return FrameResult(
            task_id=about.task_id,
            frame_id=frame_id,
            pts=int(self.pts[frame_id - self.first]),
            time_base=about.time_base,
            width=about.width,
            height=about.height,
            stage=about.stage,
            error=self.failed.get(frame_id),
            detections=found,
        )

    def _rows(self) -> Iterator[tuple[int, Detection | None]]:
        for batch in self._batches(
            ["frame_id", "track_id", "bbox", "score", "keypoints", "track_bbox"]
        ):
            yield from detections(batch)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(self._path) as file:
                yield from file.iter_batches(BATCH, columns=columns)
        except (OSError, pa.ArrowInvalid) as e:
            raise InputError(f"{self._path} is damaged: {e}") from e


def open_results(path: Path) -> Results:
    """The result at `path`: a `results.parquet`, or a folder that holds one.

    Raises:
        InputError: there is none, or the file is not a result of this software.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        with pq.ParquetFile(file) as parquet:
            keys, schema = text_keys(parquet), parquet.schema_arrow
    except FileNotFoundError as e:
        raise InputError(f"no {file}: give the folder that `contanos run` wrote to") from e
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as e:
        raise InputError(f"{file} cannot be read as Parquet: {e}") from e
    about, frames = metadata.from_keys(keys), index.from_keys(keys)
    if not schema.equals(SCHEMA, check_metadata=False):
        raise InputError(f"{file} has other columns than a result of contanos")
    return Results(file, about, frames)


def _track(track_id: int, frames: NDArray[np.int64]) -> Track:
    first, last = int(frames[0]), int(frames[-1])
    return Track(track_id=track_id, first_frame=first, last_frame=last, detections=len(frames))


def _joined(old: Track, new: Track, both: bool) -> Track:
    if not both:
        return new
    total = old.detections + new.detections
    return msgspec.structs.replace(old, last_frame=new.last_frame, detections=total)
