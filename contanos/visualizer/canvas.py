"""Strokes, filled rectangles and masks on a planar YUV 4:2:0 picture, in place.

Coordinates are those of the messages: source pixels, the origin at the picture's top-left corner,
so that the centre of the first pixel is (0.5, 0.5). Chroma samples lie as in MPEG-2 and H.264:
level with the left pixel of each pair, and half way between the two lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from contanos.visualizer.colours import Colour

Plane = NDArray[np.uint8]
Floats = NDArray[np.float64]

SHIFT = 4
"""Bits of sub-pixel position that OpenCV is given."""

SPREAD = 1.3
"""Pixels by which OpenCV's antialiasing widens a polygon; measured over widths of 1 to 8."""

_FAR = 30000.0
_CAP = np.linspace(-np.pi / 2, np.pi / 2, 7)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture to draw on.

    Attributes:
        y: luma, uint8 [H, W], limited range. At least `height` x `width`; padding may follow.
        u: chroma, uint8 [ceil(H/2), ceil(W/2)].
        v: likewise.
        width: of the visible picture, in pixels.
        height: likewise.
        kr: weight of red in luma: 0.299 (BT.601), 0.2126 (BT.709), 0.2627 (BT.2020).
        kb: weight of blue: 0.114, 0.0722, 0.0593.
    """

    y: Plane
    u: Plane
    v: Plane
    width: int
    height: int
    kr: float
    kb: float

    @property
    def unit(self) -> float:
        """What a pixel of a 720-line picture is here: all sizes are multiples of it."""
        return min(self.width, self.height) / 720

    def strokes(self, segments: Floats, widths: Floats, colours: Plane, casings: Floats) -> None:
        """Draws lines with round ends, each over a casing of its own hue, nearly black.

        Args:
            segments: [N, 2, 2], two ends x, y each; a line of no length is a dot.
            widths: [N], in pixels.
            colours: [N, 3], y, u, v in 8 bits.
            casings: [N], widths of the dark rim on either side, in pixels.
        """
        ends = round_ends(segments)
        rims = outlines(segments - 0.5, ends, widths + 2 * casings)
        for rim, luma in zip(rims, (16 + (colours[:, 0] - 16) // 5).tolist(), strict=True):
            cv2.fillConvexPoly(self.y, rim, luma, cv2.LINE_AA, SHIFT)
        cores = outlines(segments - 0.5, ends, widths)
        # Chroma reaches into the rim: at half the resolution it could not be as thin as the core.
        tints = outlines((segments - (0.5, 1.0)) / 2, ends, (widths + casings) / 2)
        for core, tint, (y, u, v) in zip(cores, tints, colours.tolist(), strict=True):
            cv2.fillConvexPoly(self.y, core, y, cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(self.u, tint, u, cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(self.v, tint, v, cv2.LINE_AA, SHIFT)

    def highlights(self, points: Floats, widths: Floats, luma: int) -> None:
        """Brightens round dots on what is drawn already: their chroma stays.

        Args:
            points: [N, 2], x, y.
            widths: [N], diameters in pixels.
            luma: of all the dots.
        """
        dots = np.stack([points, points], 1)
        for dot in outlines(dots - 0.5, round_ends(dots), widths):
            cv2.fillConvexPoly(self.y, dot, luma, cv2.LINE_AA, SHIFT)

    def fill(self, x1: int, y1: int, x2: int, y2: int, colour: Colour) -> None:
        """Fills a rectangle; its sides should be even, as chroma comes in pairs of pixels."""
        x1, y1, x2, y2 = (max(side, 0) for side in (x1, y1, x2, y2))
        self.y[y1:y2, x1:x2] = colour.y
        self.u[y1 // 2 : y2 // 2, x1 // 2 : x2 // 2] = colour.u
        self.v[y1 // 2 : y2 // 2, x1 // 2 : x2 // 2] = colour.v

    def blend(self, left: int, top: int, alpha: Plane, colour: Colour) -> None:
        """Lays `colour` over the picture, as opaque as `alpha` says.

        Args:
            left: column of the mask's first pixel, even; it may lie outside the picture.
            top: its row, likewise.
            alpha: uint8 [h, w], both even; 255 is opaque, and 0 leaves the picture exactly as is.
            colour: what to lay.
        """
        size = (alpha.shape[1] // 2, alpha.shape[0] // 2)
        half = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
        _blend((self.y,), left, top, alpha, (colour.y,))
        _blend((self.u, self.v), left // 2, top // 2, half, (colour.u, colour.v))


def even(value: float) -> int:
    """The even number nearest to `value`; coordinates far outside any picture are cut off."""
    return 2 * round(min(max(value, -_FAR), _FAR) / 2)


def round_ends(segments: Floats) -> Floats:
    """Half circles of radius 1 around the origin, [N, M, 2], in the direction of each segment."""
    along = segments[:, 1] - segments[:, 0]
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None] + _CAP
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def outlines(segments: Floats, ends: Floats, widths: Floats) -> NDArray[np.int32]:
    """Outlines of lines with round ends, int32 [N, 2 M, 2] in 1/16 pixel, as OpenCV takes them.

    Args:
        segments: [N, 2, 2], in OpenCV's coordinates: whole numbers are centres of pixels.
        ends: their `round_ends`.
        widths: [N], in pixels as they shall appear after antialiasing.
    """
    reach = ends * (np.maximum(widths - SPREAD, 0.2) / 2)[:, None, None]
    outline = np.concatenate([segments[:, 1:] + reach, segments[:, :1] - reach], 1)
    sixteenths: Floats = np.rint(outline.clip(-_FAR, _FAR) * (1 << SHIFT))
    return sixteenths.astype(np.int32)


def _blend(
    planes: Sequence[Plane], left: int, top: int, alpha: Plane, values: Sequence[int]
) -> None:
    """Lays one value on each of `planes`, which are of one size."""
    height, width = alpha.shape
    x, y = max(left, 0), max(top, 0)
    targets = [plane[y : max(top + height, 0), x : max(left + width, 0)] for plane in planes]
    if not targets[0].size:
        return
    rows, columns = targets[0].shape
    mask = alpha[y - top :, x - left :][:rows, :columns]
    rest = cv2.bitwise_not(mask)
    for target, value in zip(targets, values, strict=True):
        kept = cv2.multiply(target, rest, scale=1 / 255)
        cv2.add(kept, cv2.convertScaleAbs(mask, alpha=value / 255), dst=target)
