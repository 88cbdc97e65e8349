"""Patches of a picture's planes, as models take them."""

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.uint8]
Affine: TypeAlias = npt.NDArray[np.floating[Any]]
Size: TypeAlias = tuple[int, int]

_LEAST_SCALE = 1 / 64  # of a patch; averaging over more pixels would be no use


def warped(plane: Plane, affine: Affine, size: Size, border: int) -> Any:
    """A patch of one plane; where it shrinks, no pixel of the plane is skipped.

    Bilinear sampling looks at two pixels a side. From a shrinking by two on, it would leave pixels
    out, and what it sees of fine cloth would change with every half pixel that a person moves. The
    plane is averaged beforehand over the whole times that it shrinks.

    Args:
        plane: uint8 [height, width].
        affine: float [2, 3], from the plane's pixels to the patch's.
        size: width and height of the patch, in pixels.
        border: the value beyond the plane.

    Returns:
        uint8 [height, width] of the patch.
    """
    times = int(1 / max(_scale(affine), _LEAST_SCALE))
    if times >= 2:
        plane, affine = _shrunk(plane, affine, size, times)
    return cv2.warpAffine(plane, affine, size, borderValue=(border,))


def warped_chroma(plane: Plane, affine: Affine, size: Size, border: int) -> Any:
    """Chroma of a patch: sampled at half its size where that is whole, then scaled up.

    A chroma sample at c lies over the luma position 2 c + 0.5 in the source and in the patch.
    Half the size costs a quarter of the samples, and a model's patch shows no finer colour.
    `affine` maps pixels of luma; see `warped` for the rest.
    """
    linear = affine[:, :2]
    offset = affine[:, 2] + linear.sum(axis=1) / 2
    if size[0] % 2 or size[1] % 2:
        return warped(plane, np.column_stack((2 * linear, offset)), size, border)
    half = np.column_stack((linear, (offset - 0.5) / 2))
    return cv2.resize(warped(plane, half, (size[0] // 2, size[1] // 2), border), size)


def _scale(affine: Affine) -> float:
    """Patch pixels per source pixel, along the side that shrinks less."""
    return float(np.hypot(*affine[:, :2]).max())


def _shrunk(plane: Plane, affine: Affine, size: Size, times: int) -> tuple[Plane, Affine]:
    """What a patch shows of a plane, averaged over `times` x `times` pixels, and the map from it.

    The squares lie on one grid over the plane, wherever the patch is.
    """
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size]) - affine[:, 2]
    seen = np.linalg.solve(affine[:, :2], corners.T)
    low = np.maximum(np.floor(seen.min(axis=1) / times) - 1, 0).astype(int)
    most = np.array(plane.shape[::-1]) // times
    high = np.minimum(np.ceil(seen.max(axis=1) / times) + 1, most).astype(int)
    if (high <= low).any():
        return plane, affine
    (left, top), (right, bottom) = low * times, high * times
    averaged: Any = cv2.resize(
        plane[top:bottom, left:right], tuple(high - low), interpolation=cv2.INTER_AREA
    )
    first = low * times + (times - 1) / 2  # the plane's place of the first square's centre
    offset = affine[:, 2] + affine[:, :2] @ first
    return averaged, np.column_stack((times * affine[:, :2], offset))
