"""RTMPose: the keypoints of each person."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from msgspec.structs import replace

from contanos.geometry import Floats, crop_affine, crop_sizes
from contanos.messages import Bbox, Detection, FrameResult, Keypoint
from contanos.models.runtime import Array, Session
from contanos.stage.contract import BatchStage, Item, Task
from contanos.video.frame import Frame, Picture
from video_analysis.rtmpose.simcc import decode_simcc, to_source

_PADDING = 1.25  # RTMPose's crops exceed the box by this factor
_MEAN_RGB = (123.675, 116.28, 103.53)  # ImageNet's, as in training
_STD_RGB = (58.395, 57.12, 57.375)


Pose = tuple[Keypoint, ...]


class Person(NamedTuple):
    """Somebody to look at: a frame, and the box in its pixels."""

    frame: Frame
    bbox: Bbox


class RtmposeStage(BatchStage):
    """Estimates a pose for each person worth one; the others pass through without.

    Detections from the task's `det_score` on are worth one, and so are tracked ones.

    Every inference has the same shape, filled up with empty crops, so that what shares a batch
    never changes the arithmetic.

    Args:
        session: a model with input [B, 3, H, W], RGB, normalised; outputs `simcc_x`, `simcc_y`.
        input_size: width and height of the model's input.
        batch_size: B.
        linger: seconds to wait for people to fill a batch.
    """

    name = "rtmpose"

    def __init__(
        self,
        session: Session,
        input_size: tuple[int, int],
        batch_size: int,
        linger: float = 0.0,
    ) -> None:
        self.session = session
        self._input_size = input_size
        self.batch_size = batch_size
        self.linger = linger
        self._normalise = cv2.dnn.Image2BlobParams()
        self._normalise.scalefactor = tuple(1 / std for std in _STD_RGB)
        self._normalise.mean = _MEAN_RGB
        self._normalise.swapRB = True

    def units(self, item: Item) -> int:
        return sum(_wanted(each, item.task) for each in item.result.detections)

    def process(self, items: Sequence[Item]) -> list[FrameResult]:
        people = [
            Person(item.frame, each.bbox)
            for item in items
            for each in item.result.detections
            if item.frame is not None and _wanted(each, item.task)
        ]
        poses = iter(self.estimate(people))
        return [_enriched(item, poses) for item in items]

    def estimate(self, people: Sequence[Person]) -> list[Pose]:
        """The keypoints of each person, in source pixels."""
        if not people:
            return []
        bboxes = np.array([each.bbox for each in people], dtype=np.float32)
        center = (bboxes[:, :2] + bboxes[:, 2:]) / 2
        size = crop_sizes(bboxes, self._input_size[0] / self._input_size[1], _PADDING)
        crops = [
            person.frame.warp(crop_affine(c, s, self._input_size), self._input_size)
            for person, c, s in zip(people, center, size, strict=True)
        ]
        points, scores = decode_simcc(*self._infer(crops))
        located = to_source(points, center, size, self._input_size)
        joined = np.concatenate([located, scores[..., None]], axis=2).tolist()
        return [tuple(tuple(point) for point in pose) for pose in joined]

    def empty_batch(self) -> Array:
        """The model's input with nobody in it: float32 [B, 3, H, W]."""
        width, height = self._input_size
        return np.zeros((self.batch_size, 3, height, width), np.float32)

    def _infer(self, crops: Sequence[Picture]) -> tuple[Floats, Floats]:
        """SimCC vectors of any number of crops, batch by batch."""
        batches = [
            self._infer_batch(crops[start : start + self.batch_size])
            for start in range(0, len(crops), self.batch_size)
        ]
        simcc_x, simcc_y = (np.concatenate(axis) for axis in zip(*batches, strict=True))
        return simcc_x, simcc_y

    def _infer_batch(self, crops: Sequence[Picture]) -> tuple[Floats, Floats]:
        blob = self.empty_batch()
        blob[: len(crops)] = cv2.dnn.blobFromImagesWithParams(crops, self._normalise)
        simcc_x, simcc_y = self.session.run({"input": blob})
        return simcc_x[: len(crops)], simcc_y[: len(crops)]


def _wanted(detection: Detection, task: Task) -> bool:
    """Whether a detection gets a pose: it is sure enough for the task, or tracked already."""
    return detection.score >= task.options.det_score or detection.track_id is not None


def _enriched(item: Item, poses: Iterator[Pose]) -> FrameResult:
    detections = tuple(
        replace(each, keypoints=next(poses)) if _wanted(each, item.task) else each
        for each in item.result.detections
    )
    return replace(item.result, detections=detections)
