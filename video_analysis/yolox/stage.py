"""YOLOX: where the people are."""

from collections.abc import Sequence

import cv2
import numpy as np
from msgspec.structs import replace

from contanos.geometry import Floats, Letterbox
from contanos.messages import Detection, FrameResult
from contanos.models.runtime import Array, Session
from contanos.stage.contract import BatchStage, Item
from contanos.video.frame import Frame
from video_analysis.yolox.decode import STRIDES, decode_grid, decode_nms

LOWEST_SCORE = 0.1  # ByteTrack's second association uses boxes down to this score
_GREY = 114  # what YOLOX was trained to see beyond the picture's edge


class YoloxStage(BatchStage):
    """Finds people; passes every box from `LOWEST_SCORE` on, with its true score.

    Args:
        session: a model with input [1, 3, H, W], BGR, 0 to 255.
        export: how its graph ends: "nms" or "grid".
        input_size: width and height of the model's input.
        free_size: whether the input may be smaller than that where a picture's shape leaves it
            empty; sides stay multiples of the largest stride.
        min_score: boxes below it are dropped.
    """

    name = "yolox"

    def __init__(
        self,
        session: Session,
        export: str,
        input_size: tuple[int, int],
        *,
        free_size: bool = False,
        min_score: float = LOWEST_SCORE,
    ) -> None:
        self.session = session
        self._export = export
        self._input_size = input_size
        self._free_size = free_size
        self._min_score = min_score

    def process(self, items: Sequence[Item]) -> list[FrameResult]:
        return [self._detect(item) for item in items]

    def detect(self, frame: Frame) -> Floats:
        """The people in a frame: [N, 5] xyxy in source pixels and score, best first."""
        blob = self.blob(frame)
        outputs = self.session.run({"input": blob})
        boxes = self._decode(outputs, blob.shape[3], blob.shape[2])
        boxes[:, :4] /= Letterbox.fit(frame.width, frame.height, *self._input_size).scale
        boxes[:, 0:4:2] = boxes[:, 0:4:2].clip(0, frame.width)
        boxes[:, 1:4:2] = boxes[:, 1:4:2].clip(0, frame.height)
        return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]

    def blob(self, frame: Frame) -> Array:
        """The model's input for a frame: float32 [1, 3, H, W], BGR, 0 to 255, letterboxed."""
        fit = Letterbox.fit(frame.width, frame.height, *self._input_size)
        width, height = self._size_for(fit)
        picture = np.full((height, width, 3), _GREY, dtype=np.uint8)
        picture[: fit.height, : fit.width] = frame.resize((fit.width, fit.height))
        return cv2.dnn.blobFromImage(picture).astype(np.float32, copy=False)

    def _size_for(self, fit: Letterbox) -> tuple[int, int]:
        if not self._free_size:
            return self._input_size
        stride = STRIDES[-1]
        return -(-fit.width // stride) * stride, -(-fit.height // stride) * stride

    def _decode(self, outputs: Sequence[Floats], width: int, height: int) -> Floats:
        if self._export == "nms":
            return decode_nms(outputs[0], outputs[1].astype(np.int64), self._min_score)
        return decode_grid(outputs[0], width, height, self._min_score)

    def _detect(self, item: Item) -> FrameResult:
        assert item.frame is not None
        boxes = self.detect(item.frame).tolist()
        found = tuple(Detection(bbox=tuple(box[:4]), score=box[4]) for box in boxes)
        return replace(item.result, detections=found)
