"""Trails as ribbons that fade and taper with age."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from contanos.visualizer.canvas import SHIFT, Canvas, Floats, outlines, round_ends
from contanos.visualizer.colours import track_colours
from contanos.visualizer.trails import Trail, Trails

PIECES = 10
SMOOTHING = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 16
"""Boxes breathe with the gait; a trail is to show where somebody went, not that."""

Ribbon = tuple[NDArray[np.int32], list[float]]


class Thinning(NamedTuple):
    """Which points of a trail are taken, [M], and the weights [M, count] that smooth them."""

    chosen: NDArray[np.intp]
    weights: Floats


def draw_trails(canvas: Canvas, trails: Trails) -> None:
    """Draws every trail of at least two points, in its track's colour."""
    drawn = [trail for trail in trails.trails() if len(trail.points) > 1]
    for trail, (pieces, alphas) in zip(drawn, _ribbons(canvas, drawn), strict=True):
        colour = track_colours(trail.track_id, canvas.kr, canvas.kb).centre
        canvas.blend(*_mask(canvas, pieces, alphas), colour)


def _ribbons(canvas: Canvas, trails: Sequence[Trail]) -> Iterator[Ribbon]:
    """For each trail, the outlines of its pieces and how opaque each is, from old to new."""
    if not trails:
        return
    ways = [thinning(len(trail.points)) for trail in trails]
    smooth = [way.weights @ trail.points for way, trail in zip(ways, trails, strict=True)]
    fresh = [trail.freshness[way.chosen[1:]] for way, trail in zip(ways, trails, strict=True)]
    segments = np.concatenate([np.stack([each[:-1], each[1:]], 1) for each in smooth])
    widths = canvas.unit * (1.5 + 3.5 * np.concatenate(fresh))
    pieces = outlines(segments - 0.5, round_ends(segments), widths)
    bounds = np.cumsum([len(each) for each in fresh])[:-1]
    for own, age in zip(np.split(pieces, bounds), fresh, strict=True):
        yield own, (20 + 200 * age).tolist()


def _mask(
    canvas: Canvas, pieces: NDArray[np.int32], alphas: list[float]
) -> tuple[int, int, NDArray[np.uint8]]:
    """Column and row where the ribbon's mask starts, both even, and the mask, of even size."""
    (x1, y1), (x2, y2) = (pieces.min((0, 1)) >> SHIFT).tolist(), pieces.max((0, 1)).tolist()
    left, top = min(max(x1 - 2, 0), canvas.width) & ~1, min(max(y1 - 2, 0), canvas.height) & ~1
    right = min(max((x2 >> SHIFT) + 4, left + 2), canvas.width + 1) & ~1
    bottom = min(max((y2 >> SHIFT) + 4, top + 2), canvas.height + 1) & ~1
    mask = np.zeros((max(bottom - top, 2), max(right - left, 2)), np.uint8)
    for piece, alpha in zip(pieces - (left << SHIFT, top << SHIFT), alphas, strict=True):
        cv2.fillConvexPoly(mask, piece, alpha, cv2.LINE_AA, SHIFT)
    return left, top, mask


@lru_cache(maxsize=512)
def thinning(count: int) -> Thinning:
    """How a trail of `count` points, at least 2, becomes one of about `PIECES`.

    The oldest and the newest stay; beyond them, the end point counts repeatedly.
    """
    chosen = np.unique(np.linspace(0, count - 1, PIECES + 1).round().astype(np.intp))
    weights = np.zeros((len(chosen), count))
    reach = len(SMOOTHING) // 2
    for offset, weight in enumerate(SMOOTHING, -reach):
        np.add.at(weights, (np.arange(len(chosen)), (chosen + offset).clip(0, count - 1)), weight)
    return Thinning(chosen, weights)
