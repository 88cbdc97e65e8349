"""From RTMPose's SimCC vectors to keypoints.

SimCC classifies each coordinate over bins finer than a pixel (Li et al., SimCC, arXiv 2107.03332,
section 3.2); RTMPose uses two bins a pixel (Jiang et al., RTMPose, arXiv 2303.07399, section 3.1).
"""

import numpy as np
from numpy.typing import NDArray

from contanos.geometry import Floats

SPLIT = 2  # bins a pixel


def decode_simcc(simcc_x: Floats, simcc_y: Floats) -> tuple[Floats, Floats]:
    """The place of each axis' peak, finer than a bin.

    Args:
        simcc_x: [N, K, 2 * input width].
        simcc_y: [N, K, 2 * input height].

    Returns:
        Points [N, K, 2], x and y in pixels of the model's input, and their scores [N, K]: the mean
        of the two axes' peaks, cut to 0..1.
    """
    (x, peak_x), (y, peak_y) = _peak(simcc_x), _peak(simcc_y)
    scores = np.clip((peak_x + peak_y) / 2, 0.0, 1.0)
    return np.stack([x, y], axis=2) / SPLIT, scores


def to_source(points: Floats, center: Floats, size: Floats, input_size: tuple[int, int]) -> Floats:
    """Points of crops, in source pixels.

    Args:
        points: [N, K, 2] in pixels of the model's input.
        center: [N, 2] of each crop, in source pixels.
        size: [N, 2] width and height of each crop, in source pixels.
        input_size: width and height of the model's input.

    Returns:
        [N, K, 2]; the inverse of `contanos.geometry.crop_affine`.
    """
    scale = size / np.array(input_size, dtype=size.dtype)
    return points * scale[:, None, :] + (center - size / 2)[:, None, :]


def _peak(simcc: Floats) -> tuple[Floats, Floats]:
    """Place (in bins) and height of the greatest value along the last axis.

    The vertex of the parabola through the peak and its two neighbours lies within half a bin of
    it; it keeps a slowly moving joint from jumping bin by bin.
    """
    best = simcc.argmax(axis=-1)
    middle = np.clip(best, 1, simcc.shape[-1] - 2)
    before, peak, after = (_at(simcc, middle + step) for step in (-1, 0, 1))
    curve = before - 2 * peak + after
    inside = (best == middle) & (curve < 0)
    shift = np.divide(before - after, 2 * curve, out=np.zeros_like(peak), where=inside)
    return best + shift, _at(simcc, best)


def _at(values: Floats, index: NDArray[np.intp]) -> Floats:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]
