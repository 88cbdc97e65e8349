"""What became of each track over a whole result, counted while its rows go by."""

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

COLUMNS = ("frame_id", "track_id", "bbox", "score", "track_bbox")
"""What `TrackTotals` needs of a result's rows."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_STATE = np.dtype(
    [
        *(("track_id", np.int64), ("first_frame", np.int64), ("last_frame", np.int64)),
        *(("detections", np.int64), ("path", np.float64), ("score", np.float64)),
        *(("x", np.float64), ("y", np.float64)),
    ]
)


class TrackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One person's stay in the picture.

    Attributes:
        track_id: unique within the task.
        first_frame: the `frame_id` of the first detection.
        last_frame: of the last one.
        detections: how many there are; fewer than frames where the person was hidden.
        path: how far the person came, in source pixels: from detection to detection, in a
            straight line where there is none between. The point that moves is the middle of the
            box's lower side, where the feet are, as in the trails that are drawn. The box is the
            track's own, because the trembling of the detector's would add up; `bbox` where there
            is none.
        score: the mean of the detections' scores.
    """

    track_id: int
    first_frame: int
    last_frame: int
    detections: int
    path: float
    score: float


class TrackTotals:
    """Adds up tracks, batch by batch; memory grows with the number of tracks only."""

    def __init__(self) -> None:
        self._state = np.zeros(0, _STATE)

    def __len__(self) -> int:
        """How many tracks there are."""
        return len(self._state)

    def add(self, rows: pa.Table) -> None:
        """Takes in the next rows of a result, in its order, with the columns `COLUMNS`."""
        rows = rows.filter(rows["track_id"].is_valid()).combine_chunks()
        if not rows.num_rows:
            return
        tracks = rows["track_id"].to_numpy().astype(np.int64)
        order = np.argsort(tracks, kind="stable")
        feet = _feet(rows)[order]
        frames, scores = (rows[name].to_numpy()[order] for name in ("frame_id", "score"))
        self._add(tracks[order], frames, feet, scores.astype(np.float64))

    def summaries(self, first_track: int, limit: int) -> list[TrackSummary]:
        """Tracks by `track_id`, from the first on, so many at most."""
        begin = int(np.searchsorted(self._state["track_id"], first_track))
        return [_summary(*row.tolist()) for row in self._state[begin : begin + limit]]

    def _add(self, tracks: Ints, frames: Ints, feet: Floats, scores: Floats) -> None:
        """Rows sorted by track, and by frame within each."""
        starts = np.flatnonzero(np.diff(tracks, prepend=tracks[0] - 1))
        ends = np.append(starts[1:], len(tracks)) - 1
        at, new = self._places(tracks[starts])
        state = self._state
        state["first_frame"][at[new]] = frames[starts[new]]
        before = np.stack([state["x"][at], state["y"][at]], axis=1)
        before[new] = feet[starts[new]]  # no way has been made yet
        came_from = np.roll(feet, 1, axis=0)
        came_from[starts] = before
        steps = np.hypot(*(feet - came_from).T)
        state["path"][at] += np.add.reduceat(steps, starts)
        state["score"][at] += np.add.reduceat(scores, starts)
        state["detections"][at] += ends - starts + 1
        state["last_frame"][at] = frames[ends]
        state["x"][at], state["y"][at] = feet[ends].T

    def _places(self, track_ids: Ints) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where tracks are in the state, and which of them came just now."""
        new = ~np.isin(track_ids, self._state["track_id"], assume_unique=True)
        if new.any():
            fresh = np.zeros(np.count_nonzero(new), _STATE)
            fresh["track_id"] = track_ids[new]
            grown = np.concatenate([self._state, fresh])
            self._state = grown[np.argsort(grown["track_id"], kind="stable")]
        return np.searchsorted(self._state["track_id"], track_ids), new


def _feet(rows: pa.Table) -> Floats:
    """[N, 2], the middle of each box's lower side."""
    own = _column(rows, "track_bbox")
    boxes = _boxes(_column(rows, "bbox"))
    there = own.is_valid().to_numpy(zero_copy_only=False)
    boxes[there] = _boxes(own.drop_null())
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)


def _column(rows: pa.Table, name: str) -> pa.FixedSizeListArray:
    column = rows[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _boxes(column: pa.FixedSizeListArray) -> Floats:
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float64).reshape(-1, 4)


def _summary(  # the columns of the state
    track_id: int, first: int, last: int, detections: int, path: float, score: float, *_: float
) -> TrackSummary:
    return TrackSummary(
        track_id=track_id,
        first_frame=first,
        last_frame=last,
        detections=detections,
        path=path,
        score=score / detections,
    )
