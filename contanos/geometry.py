"""Boxes, crops and the affine maps between a picture and a model's input.

Points are x, y in pixels; the centre of the top-left pixel is (0, 0), as OpenCV's warps have it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A picture scaled to fit into a model's input, in its top-left corner.

    Attributes:
        scale: input pixels per source pixel, the same for both axes.
        width: of the scaled picture, in pixels.
        height: likewise.
    """

    scale: float
    width: int
    height: int

    @classmethod
    def fit(cls, width: int, height: int, input_width: int, input_height: int) -> "Letterbox":
        """The largest scaling of `width` x `height` that fits into the input.

        >>> Letterbox.fit(1280, 720, 416, 416)
        Letterbox(scale=0.325, width=416, height=234)
        """
        scale = min(input_width / width, input_height / height)
        scaled = (max(1, int(side * scale)) for side in (width, height))
        return cls(scale, *scaled)


def crop_sizes(bboxes: Floats, aspect: float, padding: float) -> Floats:
    """Width and height of the padded crop around each box.

    Args:
        bboxes: [N, 4] xyxy.
        aspect: width over height of the model's input.
        padding: factor by which the crop exceeds the box.

    Returns:
        [N, 2], of the model's aspect: the shorter side is extended, nothing is cut.
    """
    width = bboxes[:, 2] - bboxes[:, 0]
    height = bboxes[:, 3] - bboxes[:, 1]
    width = np.maximum(width, height * aspect)
    return np.stack([width, width / aspect], axis=1) * padding


def crop_affine(center: Floats, size: Floats, input_size: tuple[int, int]) -> Floats:
    """The 2x3 map from source pixels to the pixels of a crop.

    Args:
        center: [2] of the crop, in source pixels.
        size: [2] width and height of the crop, in source pixels.
        input_size: width and height of the model's input.
    """
    scale_x, scale_y = input_size[0] / size[0], input_size[1] / size[1]
    return np.array(
        [
            [scale_x, 0.0, input_size[0] / 2 - center[0] * scale_x],
            [0.0, scale_y, input_size[1] / 2 - center[1] * scale_y],
        ]
    )


def iou_matrix(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every pair.

    Args:
        first: [N, 4] xyxy.
        second: [M, 4] xyxy.

    Returns:
        [N, M], 0 where either box is empty.
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = _areas(first)[:, None] + _areas(second)[None, :] - overlap
    iou: Floats = np.divide(overlap, areas, out=np.zeros_like(overlap), where=areas > 0)
    return iou


def nms(bboxes: Floats, scores: Floats, threshold: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        bboxes: [N, 4] xyxy.
        scores: [N].
        threshold: boxes that overlap a better one by more than this IoU are suppressed.

    Returns:
        Indices of the boxes that are kept, best first; equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = iou_matrix(bboxes[order], bboxes[order]) > threshold
    suppressed = np.zeros(len(order), dtype=bool)
    for i in range(len(order)):
        if not suppressed[i]:
            suppressed[i + 1 :] |= overlaps[i, i + 1 :]
    return order[~suppressed]


def _areas(bboxes: Floats) -> Floats:
    sides = np.clip(bboxes[:, 2:] - bboxes[:, :2], 0, None)
    return sides[:, 0] * sides[:, 1]
