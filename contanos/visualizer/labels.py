"""Tags that name each track, laid so that none hides another."""

from collections.abc import Sequence

from contanos.messages import Detection
from contanos.visualizer.canvas import Canvas, even
from contanos.visualizer.colours import track_colours
from contanos.visualizer.text import tag

Place = tuple[int, int, int, int]


def draw_labels(canvas: Canvas, detections: Sequence[Detection], scores: bool) -> None:
    """Draws `#3 0.92` above each tracked detection's box, or without the score."""
    taken: list[Place] = []
    for detection in detections:
        words = (f"#{detection.track_id}", f"{detection.score:.2f}")
        shape, ink = tag(words if scores else words[:1], digit_height(canvas))
        place = find_place(canvas, detection, (ink.shape[1], ink.shape[0]), taken)
        taken.append(place)
        colour = track_colours(detection.track_id or 0, canvas.kr, canvas.kb).centre
        canvas.blend(place[0], place[1], shape, colour)
        canvas.blend(place[0], place[1], ink, colour.ink)


def digit_height(canvas: Canvas) -> int:
    """In pixels: nine at least, below which digits run together once the video is encoded."""
    return max(9, round(12 * canvas.unit))


def find_place(
    canvas: Canvas, detection: Detection, size: tuple[int, int], taken: Sequence[Place]
) -> Place:
    """Left, top, right, bottom of a tag of `size`, all even: on its box, else higher up.

    Inside the box where the picture ends above it. A tag that finds no free place lies over others.
    """
    width, height = size
    left = min(max(even(detection.bbox[0]), 0), max((canvas.width - width) // 2 * 2, 0))
    top = first = max(even(detection.bbox[1]) - height, 0)
    while top >= 0:
        place = (left, top, left + width, top + height)
        hidden = [each for each in taken if _overlap(each, place)]
        if not hidden:
            return place
        top = min(each[1] for each in hidden) - height
    return left, first, left + width, first + height


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
