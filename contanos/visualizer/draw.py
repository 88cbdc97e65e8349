"""Detections as a person wants to see them: boxes, skeletons, ids and trails.

Everything is sized by the picture (`Canvas.unit`), and the figure of a small person is drawn
finer, so that sixty pixels of a person stay a figure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contanos.messages import Detection
from contanos.skeleton import Skeleton
from contanos.visualizer.canvas import Canvas, even
from contanos.visualizer.colours import GREY, Family, track_colours
from contanos.visualizer.figures import draw_figures
from contanos.visualizer.labels import draw_labels
from contanos.visualizer.ribbon import draw_trails
from contanos.visualizer.trails import Trails

UNTRACKED = Family(GREY, GREY, GREY)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """What is drawn.

    Attributes:
        keypoint_score: keypoints that score less are not drawn, nor the limbs that end in them.
        sure_score: limbs whose weaker end scores less are drawn at half width.
        untracked: whether people who have a pose but no track, yet, are drawn, thin and grey.
        scores: whether labels show the detector's score.
    """

    keypoint_score: float = 0.3
    sure_score: float = 0.5
    untracked: bool = True
    scores: bool = True


DEFAULT = DrawOptions()


def draw_detections(
    canvas: Canvas,
    detections: Sequence[Detection],
    skeleton: Skeleton | None = None,
    trails: Trails | None = None,
    options: DrawOptions = DEFAULT,
) -> None:
    """Draws one frame's detections into `canvas`, in place.

    Trails lie lowest, then boxes, skeletons and labels, so that no figure hides an id.

    Args:
        canvas: the frame's picture.
        detections: bbox and keypoints in the canvas' pixels.
        skeleton: of the detections' keypoints; None draws no limbs.
        trails: already updated with these detections; None draws none.
        options: what to draw.

    Raises:
        ValueError: a detection has another number of keypoints than `skeleton`.
    """
    if trails is not None:
        draw_trails(canvas, trails)
    shown = [each for each in detections if _is_shown(each, options)]
    shown.sort(key=lambda each: each.bbox[3])  # who stands nearer to the camera covers the others
    for detection in shown:
        _draw_box(canvas, detection)
    posed = [each for each in shown if each.keypoints is not None]
    if skeleton is not None and posed:
        families = [_family(canvas, each) for each in posed]
        seen, sure = options.keypoint_score, options.sure_score
        draw_figures(canvas, posed, families, skeleton, seen, sure)
    nearest_first = [each for each in reversed(shown) if each.track_id is not None]
    draw_labels(canvas, nearest_first, options.scores)


def _family(canvas: Canvas, detection: Detection) -> Family:
    if detection.track_id is None:
        return UNTRACKED
    return track_colours(detection.track_id, canvas.kr, canvas.kb)


def _is_shown(detection: Detection, options: DrawOptions) -> bool:
    untracked = options.untracked and detection.keypoints is not None
    return detection.track_id is not None or untracked


def _draw_box(canvas: Canvas, detection: Detection) -> None:
    x1, y1, x2, y2 = (even(side) for side in detection.bbox)
    colour = _family(canvas, detection).centre
    line = 2 if detection.track_id is None else max(2, even(2.4 * canvas.unit))
    for side in _sides(x1, y1, x2, y2, line):
        canvas.fill(*side, colour)


def _sides(x1: int, y1: int, x2: int, y2: int, line: int) -> Iterable[tuple[int, int, int, int]]:
    """The four sides of a box as filled rectangles, `line` thick, inside it."""
    yield x1, y1, x2, y1 + line
    yield x1, y2 - line, x2, y2
    yield x1, y1 + line, x1 + line, y2 - line
    yield x2 - line, y1 + line, x2, y2 - line
