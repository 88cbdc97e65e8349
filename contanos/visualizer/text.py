"""Words as masks, uint8, 255 where there is ink.

OpenCV draws them four times too large and they are averaged down, which is what makes small text
legible; they are kept, because the same words come back frame after frame.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

FONT = cv2.FONT_HERSHEY_SIMPLEX
OVERSAMPLED = 4


def tag(words: tuple[str, ...], digit_height: int) -> tuple[Plane, Plane]:
    """The shape of a tag with rounded corners, and the words on it.

    Args:
        words: side by side on the tag, with a gap between.
        digit_height: in pixels.

    Returns:
        Two masks of one even size, uint8 [h, w], 255 where the tag, and where its ink, is.
    """
    words_only = np.concatenate([word_mask(word, digit_height) for word in words], 1)
    pad = digit_height // 3
    width = words_only.shape[1] + 2 * pad
    ink = np.zeros((words_only.shape[0], width + width % 2), np.uint8)
    ink[:, pad : pad + words_only.shape[1]] = words_only
    return tag_shape(ink.shape[1], ink.shape[0]), ink


@lru_cache(maxsize=1024)
def word_mask(word: str, digit_height: int) -> Plane:
    """`word` as an alpha mask, uint8 [h, w]: h is even and the same for every word."""
    large = digit_height * OVERSAMPLED
    scale = large / _digit_height_at_scale_1()
    thickness = max(1, round(large * 0.11))
    (width, _), _ = cv2.getTextSize(word, FONT, scale, thickness)
    pad = large // 5
    height = 2 * round(digit_height * 0.8) * OVERSAMPLED
    width = -(-(width + 2 * pad) // OVERSAMPLED) * OVERSAMPLED
    mask = np.zeros((height, width), np.uint8)
    cv2.putText(mask, word, (pad, (height + large) // 2), FONT, scale, 255, thickness, cv2.LINE_AA)
    size = (width // OVERSAMPLED, height // OVERSAMPLED)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=256)
def tag_shape(width: int, height: int) -> Plane:
    """A filled rectangle with rounded corners as an alpha mask, uint8 [height, width]."""
    radius = height // 5 * OVERSAMPLED
    right, bottom = width * OVERSAMPLED - 1, height * OVERSAMPLED - 1
    mask = np.zeros((bottom + 1, right + 1), np.uint8)
    mask[radius : bottom + 1 - radius] = 255
    mask[:, radius : right + 1 - radius] = 255
    for x in (radius, right - radius):
        for y in (radius, bottom - radius):
            cv2.circle(mask, (x, y), radius, 255, cv2.FILLED)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=1)
def _digit_height_at_scale_1() -> float:
    (_, height), _ = cv2.getTextSize("0", FONT, 10, 10)
    return height / 10
