"""Hides regions of a picture for good: nothing of what was there can be had back.

A region is averaged down to `BLOCKS` samples a side, and these are spread smoothly over the ellipse
inscribed in it. So few numbers hold no face, and of what they do not hold nothing is left: the
averages are all that is written, into every pixel that the ellipse touches.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from contanos.errors import MessageError
from contanos.messages import Bbox
from contanos.visualizer.canvas import Canvas, Plane

BLOCKS = 4
"""Samples a side that are left of a region. Few, since a region that moves with a person samples
them anew in every frame, and many frames together tell more than one."""

FEATHER = 1.15
"""Where the edge has faded out, in radii of the ellipse; it begins to fade at 1."""

_FAR = 1e6

Regions = Sequence[Bbox]


def hidden_regions(extra: dict[str, Any]) -> Regions:
    """The regions that a record's field `hide` names; none where it has no such field.

    Args:
        extra: of a `FrameResult`.

    Returns:
        x1, y1, x2, y2 of each, in source pixels.

    Raises:
        MessageError: the field is not a list of boxes, so that nobody knows what to hide.
    """
    value = extra.get("hide", [])
    try:
        regions = msgspec.convert(value, list[Bbox])
    except msgspec.ValidationError as e:
        raise MessageError(f"cannot tell what to hide: {e}, `hide` being {value!r}") from e
    for x1, y1, x2, y2 in regions:
        if not (x1 <= x2 and y1 <= y2 and np.isfinite([x1, y1, x2, y2]).all()):
            raise MessageError(f"cannot hide {[x1, y1, x2, y2]}: not x1, y1, x2, y2 of a box")
    return regions


def hide_regions(canvas: Canvas, regions: Regions) -> None:
    """Hides the ellipse inscribed in each region, in place; the rest of the picture stays.

    What lies outside the picture is cut off, but for its padding: an encoder may show that too.
    """
    for region in regions:
        x1, y1, x2, y2 = np.clip(region, -_FAR, _FAR).tolist()
        centre, radii = ((x1 + x2) / 2, (y1 + y2) / 2), ((x2 - x1) / 2 + 1, (y2 - y1) / 2 + 1)
        _hide_in(canvas.y, centre, radii)
        # A chroma sample colours two pixels by two, so the ellipse is one wider to touch all four.
        half = ((centre[0] - 0.5) / 2 + 0.5, centre[1] / 2)
        for plane in (canvas.u, canvas.v):
            _hide_in(plane, half, (radii[0] / 2 + 1, radii[1] / 2 + 1))


def _hide_in(plane: Plane, centre: tuple[float, float], radii: tuple[float, float]) -> None:
    """Hides an ellipse of one plane; coordinates are the plane's, 0.5 the first sample's centre."""
    columns, rows = (
        slice(max(int(middle - FEATHER * radius), 0), max(int(middle + FEATHER * radius) + 1, 0))
        for middle, radius in zip(centre, radii, strict=True)
    )
    target = plane[rows, columns]
    if not target.size:
        return
    height, width = target.shape
    few = (_samples(width), _samples(height))
    whole = target[
        : height // few[1] * few[1], : width // few[0] * few[0]
    ]  # blocks of whole pixels: faster
    averages = cv2.resize(whole, few, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(averages, (width, height), interpolation=cv2.INTER_LINEAR)
    across = (np.arange(columns.start, columns.start + width) + 0.5 - centre[0]) / radii[0]
    down = (np.arange(rows.start, rows.start + height) + 0.5 - centre[1]) / radii[1]
    _lay(target, np.asarray(cover, np.uint8), _opacity(across, down))


def _samples(length: int) -> int:
    """How many samples stand for `length` pixels: each for four at least."""
    return max(1, min(BLOCKS, length // 4))


def _opacity(across: Any, down: Any) -> Plane:
    """255 within the unit circle, falling to 0 at `FEATHER`; uint8 [len(down), len(across)]."""
    steepness = 255 / (FEATHER**2 - 1)
    left = (FEATHER**2 - across**2) * steepness
    alpha = left.astype(np.float32)[None] - (down**2 * steepness).astype(np.float32)[:, None]
    opacity: Plane = np.clip(alpha, 0, 255, out=alpha).astype(np.uint8)
    return opacity


def _lay(target: Plane, cover: Plane, alpha: Plane) -> None:
    kept = cv2.multiply(target, cv2.bitwise_not(alpha), scale=1 / 255)
    laid = cv2.multiply(cover, alpha, scale=1 / 255)
    cv2.add(kept, laid, dst=target)
