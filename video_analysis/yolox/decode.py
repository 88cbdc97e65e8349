"""From YOLOX's output tensors to boxes in the model's input pixels.

Two exports are in use. In one the graph ends in non-maximum suppression; in the other it ends in
the raw grid, decoded here (Ge et al., YOLOX, arXiv 2107.08430, section 2.1: anchor-free, decoupled
head; each cell predicts an offset to its corner and a log size, in units of its stride).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from contanos.geometry import Floats, nms

STRIDES = (8, 16, 32)
_PERSON = 0
_NMS_IOU = 0.65  # the threshold in the exported graphs, and in YOLOX's own evaluation


def decode_nms(dets: Floats, labels: NDArray[np.integer], min_score: float) -> Floats:
    """Persons in the output of a graph that ends in NMS.

    Args:
        dets: [1, N, 5] xyxy in input pixels, and score.
        labels: [1, N] class indices.
        min_score: lower scores are dropped.

    Returns:
        [M, 5] xyxy and score, best first.
    """
    kept = dets[0][(labels[0] == _PERSON) & (dets[0][:, 4] >= min_score)]
    best: Floats = kept[np.argsort(-kept[:, 4], kind="stable")]
    return best


def decode_grid(raw: Floats, width: int, height: int, min_score: float) -> Floats:
    """Persons in the output of a graph that ends in the raw grid.

    Args:
        raw: [1, A, 5 + C]: per cell dx, dy, log width, log height, objectness and C class
            probabilities, the cells of stride 8 first, row by row.
        width: of the model's input, in pixels.
        height: likewise.
        min_score: lower products of objectness and class probability are dropped.

    Returns:
        [M, 5] xyxy in input pixels and score, best first, after NMS.
    """
    scores = raw[0, :, 4] * raw[0, :, 5 + _PERSON]
    kept = np.flatnonzero(scores >= min_score)
    cells, strides = (each[kept] for each in _grid(width, height))
    centers = (raw[0, kept, :2] + cells) * strides[:, None]
    sizes = np.exp(raw[0, kept, 2:4]) * strides[:, None]
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1)
    best = nms(boxes, scores[kept], _NMS_IOU)
    return np.concatenate([boxes[best], scores[kept][best, None]], axis=1)


@cache
def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    """Corner of every cell, [A, 2] in units of its stride, and the stride, [A]."""
    cells, strides = [], []
    for stride in STRIDES:
        columns, rows = width // stride, height // stride
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(columns * rows, stride))
    return (
        np.concatenate(cells).astype(np.float32),
        np.concatenate(strides).astype(np.float32),
    )
