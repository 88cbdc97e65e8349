"""Skeletons as strokes: for all people of a frame at once, as arrays."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contanos.messages import Detection
from contanos.skeleton import Skeleton
from contanos.visualizer.canvas import Canvas, Floats
from contanos.visualizer.colours import Family

SHORTEST = 2.5
"""Limbs shorter than so many of their widths are left out: they would only be blots."""

JOINTS_FROM = 2.0
"""Width of limbs, in pixels, from which joints are marked."""


def draw_figures(
    canvas: Canvas,
    detections: Sequence[Detection],
    families: Sequence[Family],
    skeleton: Skeleton,
    seen: float,
    sure: float,
) -> None:
    """Draws the skeletons of `detections`, all of which have keypoints.

    Args:
        canvas: the frame's picture.
        detections: P of them.
        families: their P colours.
        skeleton: of their keypoints.
        seen: limbs with an end that scores less are not drawn.
        sure: limbs with an end that scores less are drawn at half width.

    Raises:
        ValueError: a detection has another number of keypoints than `skeleton`.
    """
    keypoints = _keypoints(detections, skeleton)
    limbs, ends = keypoints[:, np.array(skeleton.links)], np.array(skeleton.links)
    sureness = limbs[..., 2].min(2)
    full = limb_widths(canvas, detections)[:, None]
    widths = np.where(sureness >= sure, full, np.maximum(full / 2, 1.0))
    lengths = np.linalg.norm(limbs[:, :, 1, :2] - limbs[:, :, 0, :2], axis=-1)
    drawn = (sureness >= seen) & (lengths >= SHORTEST * full)
    colours = np.array(families, np.uint8)[:, _sides(skeleton)]
    casings = np.broadcast_to(np.maximum(0.7, 0.3 * full), drawn.shape)
    canvas.strokes(limbs[drawn][..., :2], widths[drawn], colours[drawn], casings[drawn])
    _draw_joints(canvas, keypoints, full[:, 0], drawn, ends)


def limb_widths(canvas: Canvas, detections: Sequence[Detection]) -> Floats:
    """[P], in pixels: a share of the picture, and of the person where they are small in it."""
    boxes = np.array([detection.bbox for detection in detections])
    sizes = (boxes[:, 2:] - boxes[:, :2]).max(1)
    widths: Floats = np.clip(0.014 * sizes, 1.4, max(4 * canvas.unit, 1.4))
    return widths


def _keypoints(detections: Sequence[Detection], skeleton: Skeleton) -> Floats:
    """x, y and score, [P, K, 3]."""
    for detection in detections:
        found, named = len(detection.keypoints or ()), len(skeleton.keypoints)
        if found != named:
            raise ValueError(f"{found} keypoints, but the skeleton {skeleton.name} has {named}")
    return np.array([detection.keypoints for detection in detections], np.float64)


@lru_cache(maxsize=16)
def _sides(skeleton: Skeleton) -> NDArray[np.intp]:
    """For each link, the index of its side in a `Family`."""
    return np.array([Family._fields.index(skeleton.side(a, b)) for a, b in skeleton.links])


def _draw_joints(
    canvas: Canvas,
    keypoints: Floats,
    widths: Floats,
    drawn: NDArray[np.bool_],
    ends: NDArray[np.intp],
) -> None:
    """Marks the ends of the drawn limbs of everyone who is large enough."""
    people, limbs = np.nonzero(drawn & (widths >= JOINTS_FROM)[:, None])
    joints = np.unique(np.stack([people.repeat(2), ends[limbs].reshape(-1)], 1), axis=0)
    points = keypoints[joints[:, 0], joints[:, 1], :2]
    canvas.highlights(points, 1.15 * widths[joints[:, 0]], luma=235)
