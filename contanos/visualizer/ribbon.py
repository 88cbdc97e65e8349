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

Outlines = NDArray[np.int32]
Ribbon = tuple[Outlines, list[float], list[int]]


class Thinning(NamedTuple):
    """Which points of a trail are taken, [M], and the weights [M, count] that smooth them."""

    chosen: NDArray[np.intp]
    weights: Floats


def draw_trails(canvas: Canvas, trails: Trails) -> None:
    """Draws every trail of at least two points, in its track's colour."""
    drawn = [trail for trail in trails.trails() if len(trail.points) > 1]
    for trail, ribbon in zip(drawn, _ribbons(canvas, drawn), strict=True):
        colour = track_colours(trail.track_id, canvas.kr, canvas.kb).centre
        canvas.blend(*_mask(*ribbon), colour)


def _ribbons(canvas: Canvas, trails: Sequence[Trail]) -> Iterator[Ribbon]:
    """For each trail, its pieces' outlines, how opaque each is from old to new, and its extent."""
    if not trails:
        return
    ways = [thinning(len(trail.points)) for trail in trails]
    smooth = [way.weights @ trail.points for way, trail in zip(ways, trails, strict=True)]
    fresh = [trail.freshness[way.chosen[1:]] for way, trail in zip(ways, trails, strict=True)]
    segments = np.concatenate([np.stack([each[:-1], each[1:]], 1) for each in smooth])
    ages = np.concatenate(fresh)
    pieces = outlines(segments - 0.5, round_ends(segments), canvas.unit * (1.5 + 3.5 * ages))
    ends = np.cumsum([len(each) for each in fresh])
    starts = np.concatenate([[0], ends[:-1]])
    alphas = (20 + 200 * ages).tolist()
    extents = _extents(canvas, pieces, starts).tolist()
    for start, end, extent in zip(starts.tolist(), ends.tolist(), extents, strict=True):
        yield pieces[start:end], alphas[start:end], extent


def _extents(canvas: Canvas, pieces: Outlines, starts: NDArray[np.intp]) -> NDArray[np.int32]:
    """Left, top, right, bottom of each ribbon's mask: even, in the picture, and never empty."""
    size = (canvas.width, canvas.height)
    low = np.minimum.reduceat(pieces.min(1), starts) >> SHIFT
    high = np.maximum.reduceat(pieces.max(1), starts) >> SHIFT
    low = np.clip(low - 2, 0, size) & ~1
    high = np.minimum(np.maximum(high + 4, low + 2), np.add(size, 1)) & ~1
    return np.concatenate([low, np.maximum(high, low + 2)], 1)


def _mask(
    pieces: Outlines, alphas: list[float], extent: list[int]
) -> tuple[int, int, NDArray[np.uint8]]:
    """Column and row where the ribbon's mask starts, and the mask."""
    left, top, right, bottom = extent
    mask = np.zeros((bottom - top, right - left), np.uint8)
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
