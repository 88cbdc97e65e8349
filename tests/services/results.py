"""Whether two results are the same: every row, what the file says of itself, every pixel."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from contanos.video.frame import Frame
from contanos.video.source import VideoSource


def assert_same_data(one: Path, other: Path) -> None:
    tables = [pq.read_table(folder / "results.parquet") for folder in (one, other)]
    assert tables[0].equals(tables[1], check_metadata=True)
    said = [pq.read_metadata(folder / "results.parquet").metadata for folder in (one, other)]
    assert said[0] == said[1]


def assert_same_pictures(one: Path, other: Path) -> None:
    with VideoSource(one / "annotated.mp4") as a, VideoSource(other / "annotated.mp4") as b:
        for left, right in zip(a, b, strict=True):
            assert isinstance(left, Frame)
            assert isinstance(right, Frame)
            assert (left.frame_id, left.pts) == (right.frame_id, right.pts)
            for plane in "yuv":
                assert np.array_equal(getattr(left, plane), getattr(right, plane)), left.frame_id


def assert_same(one: Path, other: Path) -> None:
    assert_same_data(one, other)
    assert_same_pictures(one, other)
