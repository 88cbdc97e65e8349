"""Face blur: names what no output may show, from the keypoints of each head."""

import math

import msgspec
from msgspec.structs import replace

from contanos.messages import Bbox, Detection, FrameResult
from contanos.stage.contract import Item, TaskStage

HELD = 0.5  # seconds that a face stays hidden after its person was last seen
SURE = 0.3  # keypoints that score less say nothing


class Seen(msgspec.Struct, frozen=True):
    """Where a track's face was last."""

    frame_id: int
    region: Bbox


class FaceBlurStage(TaskStage):
    """Adds `hide` to each record: a square around every face; outputs hide the circle in it."""

    name = "faceblur"
    pixels = False

    def __init__(self) -> None:
        self._seen: dict[int, Seen] = {}

    def process(self, item: Item) -> FrameResult:
        result, now = item.result, item.result.frame_id
        people = [each for each in result.detections if each.track_id or each.keypoints]
        self._seen |= {each.track_id: Seen(now, face(each)) for each in people if each.track_id}
        oldest = now - HELD * item.task.rate
        self._seen = {key: seen for key, seen in self._seen.items() if seen.frame_id >= oldest}
        hide = [widened(seen.region, now - seen.frame_id) for seen in self._seen.values()]
        hide += [face(each) for each in people if not each.track_id]
        earlier = result.extra.get("hide", [])
        return replace(result, extra=result.extra | {"hide": [*earlier, *hide]})

    def snapshot(self) -> bytes:
        return msgspec.json.encode(self._seen)

    def restore(self, state: bytes) -> None:
        self._seen = msgspec.json.decode(state, type=dict[int, Seen])


def face(detection: Detection) -> Bbox:
    """A square around the head, the wider the less sure its keypoints are."""
    x1, y1, x2, y2 = detection.bbox
    keypoints = detection.keypoints or ()
    sure = [each for each in keypoints[:5] if each[2] >= SURE]  # nose, eyes and ears
    if len(sure) < 2:  # no pose, or none of a head: what lies above the shoulders of most
        return x1, y1 - 0.05 * (y2 - y1), x2, y1 + 0.3 * (y2 - y1)
    x, y, score = (sum(values) / len(sure) for values in zip(*sure, strict=True))
    reach = [1.8 * math.dist(each[:2], (x, y)) for each in sure]
    top = [1.2 * math.dist(each[:2], (x, y)) for each in keypoints[17:18] if each[2] >= SURE]
    radius = max(*reach, *top, 0.07 * (y2 - y1)) * (2 - min(score, 1))
    return x - radius, y - radius, x + radius, y + radius


def widened(region: Bbox, frames: int) -> Bbox:
    """`region` after so many frames without a look at its face, which may have moved."""
    x1, y1, x2, y2 = region
    margin = 0.02 * frames * (x2 - x1)
    return x1 - margin, y1 - margin, x2 + margin, y2 + margin
