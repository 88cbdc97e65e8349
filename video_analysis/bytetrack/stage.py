"""ByteTrack: who is who from frame to frame."""

from dataclasses import replace as with_settings

import numpy as np
from msgspec.structs import replace

from contanos.messages import Detection, FrameResult
from contanos.stage.contract import Item, TaskStage
from video_analysis.bytetrack.tracker import Tracker, TrackerSettings

_SNAPSHOT_FRAMES = 16


class BytetrackStage(TaskStage):
    """Gives each detection the id and the box of its track, if it has one.

    The detection's own box stays what the detector saw; the track's is steadier, and what trackers
    are compared by.

    Args:
        settings: of the tracker, for this task's frame rate.
    """

    name = "bytetrack"
    pixels = False

    def __init__(self, settings: TrackerSettings) -> None:
        self._tracker = Tracker(settings)
        self._frames = 0

    def process(self, item: Item) -> FrameResult:
        detections = item.result.detections
        bboxes = np.array([each.bbox for each in detections], dtype=np.float64).reshape(-1, 4)
        scores = np.array([each.score for each in detections], dtype=np.float64)
        track_ids = self._tracker.update(bboxes, scores)
        track_bboxes = self._tracker.smoothed(bboxes, track_ids)
        self._frames += 1
        tracked = zip(detections, track_ids.tolist(), track_bboxes.tolist(), strict=True)
        return replace(item.result, detections=tuple(_identified(*each) for each in tracked))

    def snapshot(self) -> bytes:
        return self._tracker.snapshot()

    def restore(self, state: bytes) -> None:
        self._tracker.restore(state)

    def checkpoint_due(self) -> bool:
        return self._frames % _SNAPSHOT_FRAMES == 0


def settings_for(rate: float) -> TrackerSettings:
    """The tracker's settings for a video of `rate` frames a second."""
    return with_settings(TrackerSettings(), frame_rate=rate)


def _identified(detection: Detection, track_id: int, bbox: list[float]) -> Detection:
    if not track_id:
        return detection
    x1, y1, x2, y2 = bbox
    return replace(detection, track_id=track_id, track_bbox=(x1, y1, x2, y2))
