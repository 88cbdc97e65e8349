"""Annotation: what was found, drawn into the video."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from contanos.messages import EndOfStream, FrameResult
from contanos.skeleton import Skeleton
from contanos.stage.contract import Item, TaskStage
from contanos.video.canvas import Canvas as Picture
from contanos.video.encoder import EncoderSettings, PictureFormat
from contanos.video.frame import NEUTRAL, Frame
from contanos.video.mp4 import join_segments
from contanos.video.segments import SegmentWriter, finished_segments
from contanos.visualizer import Canvas, Trails, draw_detections

_GREY = 96  # luma of a picture that stands for one that could not be read


@dataclass(frozen=True, slots=True)
class AnnotationPlan:
    """What the annotation of one task needs to know.

    Attributes:
        segments: folder for the segments, the task's own.
        video: where the MP4 goes.
        source: the input file, whose sound is taken over; None for no sound.
        pictures: size, timing and colour of the frames.
        encoder: how hard libx264 works.
        segment_frames: frames of one segment.
        skeleton: of the keypoints.
        trail: frames that a trail reaches back; 0 for none.
    """

    segments: Path
    video: Path
    source: Path | None
    pictures: PictureFormat
    encoder: EncoderSettings
    segment_frames: int
    skeleton: Skeleton
    trail: int


class _State(msgspec.Struct):
    segment: int
    trails: bytes


class AnnotationStage(TaskStage):
    """Draws every frame and writes it into segments; a segment and its offsets go together.

    A frame without pixels becomes a repeat of the one before it, so that frames out equal frames
    in; the first of a segment becomes grey, so that a segment depends on nothing before it.
    """

    name = "annotation"

    def __init__(self, plan: AnnotationPlan) -> None:
        self._plan = plan
        self._trails = Trails(plan.trail)
        self._writer = self._writer_at(0)
        self._last: Frame | None = None
        self._due = False

    def process(self, item: Item) -> FrameResult:
        result = item.result
        frame = item.frame or self._stand_in(result)
        picture = self._writer.canvas(frame)
        picture.picture.pts = result.pts
        self._draw(picture, frame, result)
        self._last = frame
        self._due = self._writer.write(picture) is not None
        if self._due:
            self._last = None
        return result

    def checkpoint_due(self) -> bool:
        return self._due

    def snapshot(self) -> bytes:
        state = _State(self._writer.next_segment, self._trails.snapshot())
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        saved = msgspec.msgpack.decode(state, type=_State)
        self._trails.restore(saved.trails)
        self._writer = self._writer_at(saved.segment)

    def finish(self, end: EndOfStream) -> None:
        self._writer.finish_segment()
        if end.frames:
            # The folder may hold later segments of an earlier, longer attempt.
            segments = finished_segments(self._plan.segments)[: self._writer.next_segment]
            join_segments(segments, self._plan.video, self._plan.source)

    def close(self) -> None:
        self._writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)

    def _draw(self, picture: Picture, frame: Frame, result: FrameResult) -> None:
        kr, kb = frame.matrix.value
        width, height = frame.width, frame.height
        canvas = Canvas(picture.y, picture.u, picture.v, width, height, kr, kb)
        self._trails.update(result.detections)
        trails = self._trails if self._plan.trail else None
        draw_detections(canvas, result.detections, self._plan.skeleton, trails)

    def _stand_in(self, result: FrameResult) -> Frame:
        if self._last is not None:
            return self._last
        pictures = self._plan.pictures
        width, height = pictures.width, pictures.height
        chroma = np.full(((height + 1) // 2, (width + 1) // 2), NEUTRAL, np.uint8)
        luma = np.full((height, width), _GREY, np.uint8)
        return Frame(
            result.frame_id, result.pts, pictures.time_base, luma, chroma, chroma, pictures.matrix
        )

    def _writer_at(self, segment: int) -> SegmentWriter:
        plan = self._plan
        return SegmentWriter(
            plan.segments,
            plan.pictures,
            plan.encoder,
            frames_per_segment=plan.segment_frames,
            next_segment=segment,
        )
