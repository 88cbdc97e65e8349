"""Frames to write into results, made in one place for several tests."""

from collections.abc import Sequence

from contanos.messages import Detection, FrameResult
from contanos.skeleton import COCO_17
from video_analysis.results.metadata import Metadata, ModelUsed

ABOUT = Metadata(
    task_id="task",
    version="1.2.3",
    width=640,
    height=480,
    time_base=(1, 30000),
    stage="bytetrack",
    skeleton=COCO_17,
    models=(ModelUsed(name="yolox", sha256="ab" * 32, runtime="onnxruntime", precision="f32"),),
    settings={"det_score": 0.1, "links": (1, 2)},
)


def frame(
    frame_id: int, detections: Sequence[Detection] = (), pts: int | None = None, error: str = ""
) -> FrameResult:
    return FrameResult(
        task_id="task",
        frame_id=frame_id,
        pts=1001 * frame_id if pts is None else pts,
        time_base=(1, 30000),
        width=640,
        height=480,
        stage="bytetrack",
        error=error or None,
        detections=tuple(detections),
    )


def person(track_id: int | None, x: float = 0.0, posed: bool = True) -> Detection:
    keypoints = tuple((x + 0.1 * i, 50.3 + i, 0.9) for i in range(17))
    return Detection(
        bbox=(x, 20.25, x + 30.1, 80.0),
        score=0.92,
        keypoints=keypoints if posed else None,
        track_id=track_id,
    )
