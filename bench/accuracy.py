"""Box and keypoint average precision on COCO persons, ours beside rtmlib on the same weights.

    python -m bench.accuracy [--ours onnxruntime:f32,auto:auto] [--views]

Three scores a system: boxes; keypoints in ground-truth boxes; keypoints in its own boxes from score
0.01. Beside each difference stands its paired 95 % bootstrap interval: on 42 images a difference
below about 1 point is noise. `--views` scores eight views of each image instead, mirrored and
smaller ones, where a system's luck with a single keypoint weighs less (`bench.views`). Images are
read as `contanos run` reads them, as videos of one frame.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from bench.coco import Ground, Results, Score, score
from bench.data import required
from bench.views import write_views
from contanos.models.fetch import fetch
from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from video_analysis.models import manifest
from video_analysis.models.load import load_models
from video_analysis.rtmpose.stage import Person
from video_analysis.settings import Options

LOWEST = 0.01
COCO_KEYPOINTS = 17
SEEN = 0.2
"""Keypoints above this score count for a person's rank, as in MMPose's evaluation."""

Boxes = Callable[[Path], np.ndarray]
Poses = Callable[[Path, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class System:
    """A detector and a pose estimator under test.

    Attributes:
        name: for the table.
        boxes: image file -> [N, 5] xyxy and score.
        poses: image file, [N, 4] xyxy -> [N, K, 3] x, y, score.
    """

    name: str
    boxes: Boxes
    poses: Poses


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = "onnxruntime:f32,auto:auto"
    parser.add_argument("--ours", default=default, help=f"runtime:precision,...; {default}")
    parser.add_argument("--no-rtmlib", action="store_true", help="ours only")
    parser.add_argument("--views", action="store_true", help="each image in eight views")
    arguments = parser.parse_args()
    systems = [ours(*each.split(":")) for each in arguments.ours.split(",")]
    if not arguments.no_rtmlib:
        systems.append(rtmlib())
    images = required("coco_person")
    if not arguments.views:
        report(Ground.read(images), systems)
        return
    with TemporaryDirectory() as views:
        write_views(images, Path(views))
        report(Ground.read(Path(views)), systems)


def report(ground: Ground, systems: list[System]) -> None:
    """Score every system and print a line each; differences are to the first."""
    print(f"COCO persons, {len(ground.image_ids)} images; AP, and the difference to the first line")
    print(f"{'':44}{'boxes':>26}{'keypoints, true boxes':>26}{'keypoints, own boxes':>26}")
    first: list[Score] | None = None
    for system in systems:
        scores = measure(ground, system)
        first = first or scores
        cells = [_cell(*pair) for pair in zip(scores, first, strict=True)]
        print(f"{system.name:44}" + "".join(f"{cell:>26}" for cell in cells))


def measure(ground: Ground, system: System) -> list[Score]:
    """Boxes, keypoints in true boxes, keypoints in own boxes."""
    boxes: Results = []
    in_true: Results = []
    in_own: Results = []
    for image_id in ground.image_ids:
        file = ground.file(image_id)
        found = system.boxes(file)
        boxes += [_box(image_id, each) for each in found]
        in_own += _posed(image_id, found, system.poses(file, found[:, :4]))
        people = ground.posed(image_id)
        true = np.array([_true_box(each["bbox"]) for each in people]).reshape(-1, 5)
        in_true += _posed(image_id, true, system.poses(file, true[:, :4]))
    return [
        score(ground, boxes, "bbox"),
        score(ground, in_true, "keypoints"),
        score(ground, in_own, "keypoints"),
    ]


def ours(runtime: str, precision: str) -> System:
    """Our stages, as the pipeline runs them."""
    options = Options(runtime=runtime, precision=precision)  # type: ignore[arg-type]
    models = load_models(options, threads=1, lowest_score=LOWEST)

    def boxes(file: Path) -> np.ndarray:
        return models.detector.detect(_frame(file))

    def poses(file: Path, bboxes: np.ndarray) -> np.ndarray:
        frame = _frame(file)
        people = [Person(frame, tuple(each)) for each in bboxes.tolist()]
        keypoints = len(models.skeleton.keypoints)
        return np.array(models.pose.estimate(people)).reshape(-1, keypoints, 3)

    ways = [f"{each.runtime} {each.precision}" for each in models.used]
    return System(f"ours {' + '.join(dict.fromkeys(ways))}", boxes, poses)


def rtmlib() -> System:
    """Rtmlib as shipped, on onnxruntime; its detector's scores are kept, which it drops."""
    from rtmlib import YOLOX, RTMPose

    options, known = Options(), manifest()
    detector = YOLOX(
        str(fetch(known[options.detector])), model_input_size=(416, 416), backend="onnxruntime"
    )
    pose = RTMPose(
        str(fetch(known[options.pose])), model_input_size=(192, 256), backend="onnxruntime"
    )

    def boxes(file: Path) -> np.ndarray:
        picture, ratio = detector.preprocess(cv2.imread(str(file)))
        found = detector.inference(picture)[0][0].copy()
        found[:, :4] /= ratio
        kept: np.ndarray = found[found[:, 4] >= LOWEST]
        return kept

    def poses(file: Path, bboxes: np.ndarray) -> np.ndarray:
        if not len(bboxes):
            return np.zeros((0, COCO_KEYPOINTS, 3))
        points, scores = pose(cv2.imread(str(file)), bboxes)
        joined: np.ndarray = np.concatenate([points, scores[..., None]], axis=2)
        return joined

    return System("rtmlib onnxruntime", boxes, poses)


def _frame(file: Path) -> Frame:
    with VideoSource(file) as source:
        frame = next(iter(source))
    assert isinstance(frame, Frame)
    return frame


def _box(image_id: int, box: np.ndarray) -> dict[str, Any]:
    x1, y1, x2, y2, confidence = box.tolist()
    bbox = [x1, y1, x2 - x1, y2 - y1]
    return {"image_id": image_id, "category_id": 1, "bbox": bbox, "score": confidence}


def _true_box(bbox: list[float]) -> list[float]:
    x, y, width, height = bbox
    return [x, y, x + width, y + height, 1.0]


def _posed(image_id: int, boxes: np.ndarray, poses: np.ndarray) -> Results:
    """One result a person; its score is the box's times that of its keypoints."""
    return [
        {
            "image_id": image_id,
            "category_id": 1,
            "keypoints": pose[:COCO_KEYPOINTS].ravel().tolist(),
            "score": float(box[4] * _sureness(pose[:COCO_KEYPOINTS, 2])),
        }
        for box, pose in zip(boxes, poses, strict=True)
    ]


def _sureness(scores: np.ndarray) -> float:
    """The mean over keypoints that are seen at all, as MMPose ranks people (`CocoMetric`)."""
    seen = scores[scores > SEEN]
    return float(seen.mean()) if len(seen) else 0.0


def _cell(found: Score, first: Score) -> str:
    if found is first:
        return f"{found.ap:.1f}"
    difference, low, high = found.minus(first)
    return f"{found.ap:.1f} {difference:+.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main()
