"""A stable, distinct family of colours for each track, in the picture's own YUV.

Hues step by the golden angle, so that any run of consecutive ids spreads evenly over the circle;
lightness cycles over three levels, so that ids whose hues come close differ in it. Both are taken
in OKLCh, where equal steps look equal (Ottosson 2020, "A perceptual color space for image
processing", https://bottosson.github.io/posts/oklab/, which the matrices below are from).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GOLDEN_ANGLE = 180 * (3 - math.sqrt(5))
FIRST_HUE = 140.0
LIGHTNESS = (0.77, 0.65, 0.85)
CHROMA = 0.17
SIDE_HUE = 24.0
SIDE_LIGHTNESS = 0.06

_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


class Colour(NamedTuple):
    """One colour in 8-bit limited range: y 16 to 235, u and v 16 to 240 around 128."""

    y: int
    u: int
    v: int

    @property
    def ink(self) -> "Colour":
        """What words on this colour are written in: the farther one of black and white."""
        return BLACK if self.y > 105 else WHITE


BLACK = Colour(18, 128, 128)
WHITE = Colour(235, 128, 128)
GREY = Colour(150, 128, 128)


class Family(NamedTuple):
    """The colours of one track: its own, and one for each half of the body."""

    centre: Colour
    left: Colour
    right: Colour


@lru_cache(maxsize=4096)
def track_colours(track_id: int, kr: float, kb: float) -> Family:
    """The colours of track `track_id`, the same on every call and every machine.

    Args:
        track_id: positive.
        kr: weight of red in the picture's luma, e.g. 0.299 for BT.601, 0.2126 for BT.709.
        kb: weight of blue, e.g. 0.114 and 0.0722.
    """
    lightness = LIGHTNESS[(track_id - 1) % len(LIGHTNESS)]
    hue = FIRST_HUE + GOLDEN_ANGLE * (track_id - 1)
    return Family(
        *(
            to_yuv(oklch(lightness + side * SIDE_LIGHTNESS, CHROMA, hue + side * SIDE_HUE), kr, kb)
            for side in (0, 1, -1)
        )
    )


def oklch(lightness: float, chroma: float, hue: float) -> NDArray[np.float64]:
    """Gamma-encoded R, G, B, 0 to 1, of an OKLCh colour.

    Where the display cannot show so much chroma, it is lowered until it can: hue and lightness
    stay.

    Args:
        lightness: 0 to 1.
        chroma: 0 (grey) to about 0.4.
        hue: in degrees.
    """
    for part in np.linspace(chroma, 0, 50):
        linear = _linear_rgb(lightness, float(part), math.radians(hue))
        if linear.min() >= 0 and linear.max() <= 1:
            break
    return _gamma(np.clip(linear, 0, 1))


def to_yuv(rgb: NDArray[np.float64], kr: float, kb: float) -> Colour:
    """Limited-range 8-bit YUV of gamma-encoded `rgb` (ITU-R BT.601-7, section 2.5.3)."""
    red, green, blue = (float(value) for value in rgb)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    u = 128 + 112 * (blue - luma) / (1 - kb)
    v = 128 + 112 * (red - luma) / (1 - kr)
    return Colour(round(16 + 219 * luma), round(u), round(v))


def _linear_rgb(lightness: float, chroma: float, hue: float) -> NDArray[np.float64]:
    lab = np.array([lightness, chroma * math.cos(hue), chroma * math.sin(hue)])
    rgb: NDArray[np.float64] = _LMS_TO_RGB @ (_LAB_TO_LMS @ lab) ** 3
    return rgb


def _gamma(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sRGB transfer function (IEC 61966-2-1)."""
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, bright)
