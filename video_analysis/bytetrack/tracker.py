"""ByteTrack: every box is associated, the doubtful ones after the sure ones.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022,
Algorithm 1, with the rules of the authors' implementation where the paper is silent.

All tracks lie in one table, a row each in the order they started. A row without an id is
unconfirmed: seen once so far. A row with an id was seen in the frame before, or is lost.
"""

import struct

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contanos.errors import InputError, MessageError
from video_analysis.bytetrack import kalman
from video_analysis.bytetrack.association import NOBODY, Boxes, Claims, Rows, iou
from video_analysis.bytetrack.settings import TrackerSettings

__all__ = ["Tracker", "TrackerSettings"]

Scores = NDArray[np.float64]
Ids = NDArray[np.int64]

_TRACK = np.dtype(
    [("motion", "<f8", kalman.SHAPE), ("id", "<i8"), ("first", "<i8"), ("last", "<i8")]
)
_HEADER = struct.Struct("<4sHqqq")
_MAGIC = b"BYTE"
_VERSION = 1

# Narrower than this, or further out than that, in pixels, is not a box but a fault.
_THINNEST = 1e-3
_FURTHEST = 1e7
_NO_SCORE = -1.0


class Tracker:
    """Identities over the frames of one video, given in order and without gaps.

    The same detections give the same ids, on any machine and in any process. Ids start from 1
    in each tracker and are given in the order in which tracks are confirmed.

    >>> tracker = Tracker()
    >>> tracker.update([[10, 10, 50, 90]], [0.9])
    array([1])
    >>> tracker.update([[200, 10, 240, 90], [12, 10, 52, 90]], [0.9, 0.3])
    array([0, 1])
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._tracks = np.zeros(0, _TRACK)
        self._frame = 0
        self._ids = 0

    def update(self, bboxes: ArrayLike, scores: ArrayLike) -> Ids:
        """The track of each detection of the next frame.

        Args:
            bboxes: [N, 4], x1, y1, x2, y2 in pixels; N may be 0.
            scores: [N], 0 to 1.

        Returns:
            int64 [N]: ids from 1, each at most once; 0 where no track claims the detection, as
            for a person seen for the first time after the first frame. A box that is not finite
            or has no area is claimed by none.

        Raises:
            InputError: not one score for each box.
        """
        boxes, true_scores = _checked(bboxes, scores)
        self._frame += 1
        self._predict()
        claims = self._associate(boxes, true_scores)
        self._correct(claims, boxes)
        row_of = self._start(claims, boxes, true_scores)
        kept = self._kept()
        ids = np.zeros(len(boxes), np.int64)
        found = np.flatnonzero(row_of != NOBODY)
        ids[found] = np.where(kept, self._tracks["id"], 0)[row_of[found]]
        self._tracks = self._tracks[kept]
        return ids

    def smoothed(self, bboxes: ArrayLike, ids: Ids) -> Boxes:
        """The boxes of the last frame as the filter sees them.

        Args:
            bboxes: [N, 4], as given to `update`.
            ids: [N], as `update` answered.

        Returns:
            float64 [N, 4], x1, y1, x2, y2 in pixels; the detection's own box where its id is 0.
        """
        boxes = np.array(bboxes, np.float64).reshape(-1, 4)
        row_of = {track_id: row for row, track_id in enumerate(self._tracks["id"].tolist())}
        found = np.flatnonzero(ids)
        rows = [row_of[track_id] for track_id in ids[found].tolist()]
        boxes[found] = kalman.boxes_of(self._tracks["motion"][rows])
        return boxes

    def snapshot(self) -> bytes:
        """The exact state, but not the settings: they belong to the task.

        The same state gives the same bytes on any machine.
        """
        header = _HEADER.pack(_MAGIC, _VERSION, self._frame, self._ids, len(self._tracks))
        return header + self._tracks.tobytes()

    def restore(self, state: bytes) -> None:
        """Go on from `state` as the tracker that wrote it would have.

        Raises:
            MessageError: not a snapshot, cut short, or of another version.
        """
        if len(state) < _HEADER.size or not state.startswith(_MAGIC):
            raise MessageError("not the snapshot of a tracker; start the task from its beginning")
        _, version, frame, ids, tracks = _HEADER.unpack_from(state)
        if version != _VERSION:
            raise MessageError(f"a tracker's snapshot of version {version}, this reads {_VERSION}")
        if len(state) != _HEADER.size + tracks * _TRACK.itemsize:
            raise MessageError(f"a tracker's snapshot of {tracks} tracks in {len(state)} bytes")
        self._tracks = np.frombuffer(state, _TRACK, tracks, _HEADER.size).copy()
        self._frame, self._ids = frame, ids

    def _predict(self) -> None:
        # A lost person keeps their height: the last boxes before a hiding place show less and
        # less of them, and a filter that has learnt this would shrink them to nothing.
        lost = self._tracks["last"] < self._frame - 1
        self._tracks["motion"][lost, kalman.VELOCITY, kalman.HEIGHT] = 0
        motion = kalman.predict(self._tracks["motion"], self.settings.frame_time)
        self._tracks["motion"] = motion

    def _associate(self, boxes: Boxes, scores: Scores) -> Claims:
        settings, tracks = self.settings, self._tracks
        confirmed = tracks["id"] > 0
        seen = tracks["last"] == self._frame - 1
        high = scores >= settings.high
        low = ~high & (scores >= settings.low)
        overlap = iou(kalman.boxes_of(tracks["motion"]), boxes)
        weighted = overlap * scores
        claims = Claims.none_yet(*overlap.shape)
        claims.add(weighted, confirmed, high, settings.first_match)
        claims.add(overlap, confirmed & seen, low, settings.second_match)
        claims.add(weighted, ~confirmed, high, settings.unconfirmed_match)
        return claims

    def _correct(self, claims: Claims, boxes: Boxes) -> None:
        """Measure the tracks that claim a detection; one that had no id is now confirmed."""
        rows = np.flatnonzero(claims.detection_of != NOBODY)
        motion = self._tracks["motion"][rows]
        self._tracks["motion"][rows] = kalman.correct(motion, boxes[claims.detection_of[rows]])
        self._tracks["last"][rows] = self._frame
        confirmed = rows[self._tracks["id"][rows] == 0]
        self._tracks["id"][confirmed] = self._new_ids(len(confirmed))

    def _start(self, claims: Claims, boxes: Boxes, scores: Scores) -> Rows:
        """Start a track at each sure detection that nobody claims.

        Returns:
            For each detection the row of its track, old or new, or NOBODY.
        """
        sure = scores >= self.settings.start_score
        fresh = np.flatnonzero((claims.track_of == NOBODY) & sure)
        started = np.zeros(len(fresh), _TRACK)
        started["motion"] = kalman.initiate(boxes[fresh])
        started["first"] = started["last"] = self._frame
        if self._frame == 1:
            started["id"] = self._new_ids(len(fresh))
        row_of = claims.track_of.copy()
        row_of[fresh] = len(self._tracks) + np.arange(len(fresh))
        self._tracks = np.concatenate((self._tracks, started))
        return row_of

    def _kept(self) -> NDArray[np.bool_]:
        """Which rows live on: those seen now, and those confirmed that were lost not long ago."""
        tracks = self._tracks
        seen = tracks["last"] == self._frame
        missed = self._frame - tracks["last"]
        lost = ~seen & (tracks["id"] > 0) & (missed <= self.settings.patience)
        kept: NDArray[np.bool_] = seen | lost
        kept[self._duplicates(np.flatnonzero(seen), np.flatnonzero(lost))] = False
        return kept

    def _duplicates(self, seen: Rows, lost: Rows) -> Rows:
        """Of each pair of a seen and a lost track on one person, the one with less history."""
        if not len(seen) or not len(lost):
            return seen[:0]
        boxes = kalman.boxes_of(self._tracks["motion"])
        same = iou(boxes[seen], boxes[lost]) > self.settings.duplicate
        seen_rows, lost_rows = np.nonzero(same)
        age = self._tracks["last"] - self._tracks["first"]
        a, b = seen[seen_rows], lost[lost_rows]
        return np.where(age[a] > age[b], b, a)

    def _new_ids(self, count: int) -> Ids:
        first = self._ids + 1
        self._ids += count
        return np.arange(first, first + count, dtype=np.int64)


def _checked(bboxes: ArrayLike, scores: ArrayLike) -> tuple[Boxes, Scores]:
    """Float64 copies in which a faulty box is zero, with a score below every threshold."""
    boxes = np.asarray(bboxes, np.float64).reshape(-1, 4)
    values = np.asarray(scores, np.float64).reshape(-1)
    if len(boxes) != len(values):
        raise InputError(f"{len(boxes)} boxes but {len(values)} scores; give one for each")
    usable = (np.abs(boxes) <= _FURTHEST).all(axis=1) & np.isfinite(values)
    boxes = np.where(usable[:, None], boxes, 0)
    usable &= (boxes[:, 2:] - boxes[:, :2] >= _THINNEST).all(axis=1)
    return boxes, np.where(usable, values, _NO_SCORE)
