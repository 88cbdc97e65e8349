"""CSV with one row a detection, and JSON Lines with one record a frame."""

import csv
import io
from collections.abc import Iterable, Iterator

import msgspec

from contanos import messages
from contanos.messages import Detection, FrameResult
from video_analysis.results.reader import Results

BOX = ("x1", "y1", "x2", "y2")
COLUMNS = (
    *("task_id", "frame_id", "pts_seconds", "track_id", "score", *BOX),
    *(f"track_{side}" for side in BOX),
)


def csv_lines(results: Results) -> Iterator[str]:
    """A header and one row a detection.

    Keypoints lie in columns `<name>_x`, `<name>_y`, `<name>_score`. A cell is empty where there is
    no track or no pose. Frames without people have no row.
    """
    skeleton = results.metadata.skeleton
    names = skeleton.keypoints if skeleton else ()
    yield _line([*COLUMNS, *(f"{name}_{part}" for name in names for part in ("x", "y", "score"))])
    for frame in results:
        for detection in frame.detections:
            yield _line(_cells(frame, detection, len(names)))


def json_lines(results: Results) -> Iterator[str]:
    """One `FrameResult` a line, as it travels between stages, with `pts_seconds` added.

    Frames without people and frames that failed have their line too.
    """
    for frame in results:
        timed = msgspec.structs.replace(frame, extra={"pts_seconds": frame.seconds})
        yield messages.encode(timed).decode() + "\n"


def _cells(frame: FrameResult, detection: Detection, keypoints: int) -> Iterator[object]:
    yield from (frame.task_id, frame.frame_id, frame.seconds, detection.track_id, detection.score)
    yield from detection.bbox
    yield from detection.track_bbox or (None,) * len(BOX)
    for keypoint in detection.keypoints or ((None, None, None),) * keypoints:
        yield from keypoint


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
