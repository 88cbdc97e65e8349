"""Detections as an Arrow table, one row each, and back."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contanos.messages import Bbox, Detection, FrameResult, Keypoint

KEYPOINT = pa.list_(pa.float32(), 3)
SCHEMA = pa.schema(
    [
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("frame_id", pa.int64(), nullable=False),
        pa.field("pts", pa.float64(), nullable=False),
        pa.field("track_id", pa.int32()),
        pa.field("bbox", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("keypoints", pa.list_(KEYPOINT)),
        pa.field("track_bbox", pa.list_(pa.float32(), 4)),
    ]
)
"""`pts` in seconds; `bbox` and `track_bbox` x1, y1, x2, y2 and `keypoints` x, y, score in source
pixels, the origin at the picture's top-left corner; `track_id`, `track_bbox` and `keypoints` null
where there is none."""

PARQUET: dict[str, Any] = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": ["task_id"],
    "write_statistics": True,
    "store_schema": True,
}
"""Pinned, because equal results have to be equal files whatever the library's defaults become."""


def to_table(frames: Sequence[FrameResult]) -> pa.Table:
    """One row for each detection of `frames`, in order."""
    rows = [(frame, detection) for frame in frames for detection in frame.detections]
    columns = [
        pa.array([frame.task_id for frame, _ in rows], pa.string()),
        pa.array([frame.frame_id for frame, _ in rows], pa.int64()),
        pa.array([frame.seconds for frame, _ in rows], pa.float64()),
        pa.array([detection.track_id for _, detection in rows], pa.int32()),
        _vectors([detection.bbox for _, detection in rows], 4),
        pa.array([detection.score for _, detection in rows], pa.float32()),
        _keypoints([detection.keypoints for _, detection in rows]),
        _optional_boxes([detection.track_bbox for _, detection in rows]),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def detections(batch: pa.RecordBatch) -> Iterator[tuple[int, Detection]]:
    """The rows of `batch`: `frame_id` and detection.

    Numbers are the shortest decimals that name the stored 32-bit value: 0.92, where widening it
    would give 0.9200000166893005.
    """
    boxes = _tuples(_shortest(batch.column("bbox").flatten()), 4)
    keypoints = _poses(batch.column("keypoints"))
    scores = _shortest(batch.column("score"))
    steady = _present_boxes(batch.column("track_bbox"))
    frames, tracks = batch.column("frame_id").to_pylist(), batch.column("track_id").to_pylist()
    for frame_id, track_id, bbox, score, pose, track_bbox in zip(
        frames, tracks, boxes, scores, keypoints, steady, strict=True
    ):
        yield (
            frame_id,
            Detection(
                bbox=bbox, score=score, keypoints=pose, track_id=track_id, track_bbox=track_bbox
            ),
        )


def rebatched(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `rows` each, but the last: however they were split."""
    held = SCHEMA.empty_table()
    for table in tables:
        held = pa.concat_tables([held, table])
        while held.num_rows >= rows:
            yield held.slice(0, rows).combine_chunks()
            held = held.slice(rows)
    if held.num_rows:
        yield held.combine_chunks()


def _vectors(values: Sequence[Sequence[float]], length: int) -> pa.Array:
    flat = np.array(values, np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), length)


def _optional_boxes(boxes: Sequence[Bbox | None]) -> pa.Array:
    nowhere = (0.0, 0.0, 0.0, 0.0)
    flat = np.array([box or nowhere for box in boxes], np.float32).reshape(-1)
    missing = pa.array([box is None for box in boxes], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), 4, mask=missing)


def _present_boxes(column: pa.FixedSizeListArray) -> Iterator[Bbox | None]:
    present = iter(_tuples(_shortest(column.drop_null().flatten()), 4))
    return (next(present) if valid else None for valid in column.is_valid().to_pylist())


def _keypoints(poses: Sequence[Sequence[Keypoint] | None]) -> pa.Array:
    counts = [0 if pose is None else len(pose) for pose in poses]
    return pa.ListArray.from_arrays(
        pa.array(np.cumsum([0, *counts]), pa.int32()),
        _vectors([keypoint for pose in poses if pose is not None for keypoint in pose], 3),
        mask=pa.array([pose is None for pose in poses], pa.bool_()),
    )


def _poses(column: pa.ListArray) -> list[tuple[Keypoint, ...] | None]:
    keypoints = _tuples(_shortest(column.flatten().flatten()), 3)
    ends = np.cumsum(pc.fill_null(column.value_lengths(), 0).to_numpy(zero_copy_only=False))
    starts = [0, *ends.tolist()]
    spans = zip(starts, ends.tolist(), column.is_valid().to_pylist(), strict=False)
    return [tuple(keypoints[start:end]) if valid else None for start, end, valid in spans]


def _shortest(column: pa.Array) -> list[float]:
    numbers: list[float] = column.cast(pa.string()).cast(pa.float64()).to_pylist()
    return numbers


def _tuples(flat: list[float], length: int) -> list[Any]:
    return list(zip(*[iter(flat)] * length, strict=True))
