"""Which track claims which detection: overlaps, and the assignment of least total distance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Boxes = NDArray[np.float64]
Rows = NDArray[np.intp]

NOBODY = -1
_PIXEL = 1.0


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each box of `a` with each of `b`, in whole pixels.

    As in the authors' implementation a box covers its last pixel too, so it is x2 - x1 + 1 wide.
    This is a little kinder to small people, and on some short scenes decides an identity.

    Args:
        a: float64 [N, 4], x1, y1, x2, y2 in pixels.
        b: float64 [M, 4], likewise.

    Returns:
        float64 [N, M], 0 to 1; 0 where a box is inside out.
    """
    size_a = np.maximum(a[:, 2:] - a[:, :2] + _PIXEL, 0)
    size_b = np.maximum(b[:, 2:] - b[:, :2] + _PIXEL, 0)
    upper = np.minimum(a[:, None, 2:], b[:, 2:])
    lower = np.maximum(a[:, None, :2], b[:, :2])
    overlap = np.maximum(upper - lower + _PIXEL, 0)
    common = overlap[..., 0] * overlap[..., 1]
    union = (size_a[:, 0] * size_a[:, 1])[:, None] + size_b[:, 0] * size_b[:, 1] - common
    shared: NDArray[np.float64] = common / np.maximum(union, np.finfo(np.float64).tiny)
    return shared


def assign(distance: NDArray[np.float64], limit: float) -> tuple[Rows, Rows]:
    """The pairs that minimise the sum of (distance - limit) over the pairs made.

    A pair at the limit is worth as much as no pair, so one is made only below it, and never at
    the price of two others that together are worth more. This is the rule of the authors'
    solver, stated as a plain assignment problem.

    Args:
        distance: [N, M].
        limit: pairs at or beyond it are never made.

    Returns:
        The rows and the columns of the pairs, each intp [K], rows ascending.
    """
    gain = np.minimum(distance - limit, 0)
    rows, columns = linear_sum_assignment(gain)
    made = gain[rows, columns] < 0
    return rows[made], columns[made]


@dataclass(frozen=True, slots=True)
class Claims:
    """Who claims whom in one frame; both sides start with nobody.

    Attributes:
        detection_of: for each track the row of its detection, or NOBODY.
        track_of: for each detection the row of its track, or NOBODY.
    """

    detection_of: Rows
    track_of: Rows

    @classmethod
    def none_yet(cls, tracks: int, detections: int) -> "Claims":
        """No claims among so many tracks and detections."""
        return cls(np.full(tracks, NOBODY, np.intp), np.full(detections, NOBODY, np.intp))

    def add(
        self,
        similarity: NDArray[np.float64],
        tracks: NDArray[np.bool_],
        detections: NDArray[np.bool_],
        limit: float,
    ) -> None:
        """One association: of the tracks and detections named, those that are still free.

        Args:
            similarity: [T, N], 0 to 1, of every track with every detection.
            tracks: bool [T], the tracks that may claim.
            detections: bool [N], the detections that may be claimed.
            limit: the distance, 1 - similarity, from which nothing is claimed.
        """
        rows = np.flatnonzero(tracks & (self.detection_of == NOBODY))
        columns = np.flatnonzero(detections & (self.track_of == NOBODY))
        if not len(rows) or not len(columns):
            return
        chosen_rows, chosen_columns = assign(1 - similarity[rows[:, None], columns], limit)
        self.detection_of[rows[chosen_rows]] = columns[chosen_columns]
        self.track_of[columns[chosen_columns]] = rows[chosen_rows]
