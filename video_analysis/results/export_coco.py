"""COCO keypoint results: what `pycocotools.coco.COCO.loadRes` reads.

`image_id` is the `frame_id`, `category_id` 1 is COCO's person. Keypoints are COCO's 17, with the
model's score in the place of visibility. The person's `score` is the box's times the keypoints'
mean, the rule by which pose models are ranked (as in MMPose); `bbox_score` is the box's alone.
Pixels are as everywhere here: the origin is the top-left corner of the picture, as in COCO's boxes;
nothing is rounded or shifted. Detections without a pose are left out, because a keypoint result
without keypoints cannot be loaded.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from contanos.errors import SettingError
from contanos.messages import Detection
from contanos.skeleton import COCO_17
from video_analysis.results.boxes import xywh
from video_analysis.results.reader import Results

PERSON = 1


def coco_chunks(results: Results) -> Iterator[str]:
    """The JSON list, one detection a line.

    Raises:
        SettingError: the result's skeleton does not have COCO's keypoints.
    """
    order = coco_order(results)
    before = "[\n"
    for frame in results:
        for detection in frame.detections:
            if detection.keypoints is not None:
                entry = coco_entry(frame.frame_id, detection, order)
                yield before + msgspec.json.encode(entry).decode()
                before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def coco_order(results: Results) -> list[int]:
    """Where in the result's skeleton COCO's 17 keypoints lie."""
    skeleton = results.metadata.skeleton
    if skeleton is None:
        raise SettingError("this result holds no poses, so there are no COCO keypoints to export")
    missing = set(COCO_17.keypoints) - set(skeleton.keypoints)
    if missing:
        raise SettingError(
            f"the skeleton {skeleton.name} lacks COCO's {', '.join(sorted(missing))}: "
            "export csv or jsonl"
        )
    return [skeleton.keypoints.index(name) for name in COCO_17.keypoints]


def coco_entry(frame_id: int, detection: Detection, order: list[int]) -> dict[str, Any]:
    """One element of the list; `track_id` is added where there is one, and readers ignore it."""
    keypoints = detection.keypoints or ()
    ordered = [keypoints[index] for index in order]
    sureness = sum(score for _, _, score in ordered) / len(ordered)
    entry = {
        "image_id": frame_id,
        "category_id": PERSON,
        "bbox": xywh(detection.bbox),
        "keypoints": [value for keypoint in ordered for value in keypoint],
        "score": round(detection.score * sureness, 9),
        "bbox_score": detection.score,
    }
    return entry if detection.track_id is None else entry | {"track_id": detection.track_id}
