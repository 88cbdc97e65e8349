"""Annotation: what is to be hidden, hidden, and what was found, drawn into the video."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from contanos.errors import OutputError
from contanos.messages import Bbox, EndOfStream, FrameResult
from contanos.skeleton import Skeleton
from contanos.stage.contract import Item, TaskStage
from contanos.video.canvas import Canvas as Picture
from contanos.video.encoder import EncoderSettings, PictureFormat
from contanos.video.frame import NEUTRAL, Frame
from contanos.video.mp4 import join_segments
from contanos.video.segments import SegmentWriter, finished_segments
from contanos.visualizer import Canvas, Trails, draw_detections, hidden_regions, hide_regions

_GREY = 96  # luma of a picture that stands for one that cannot be shown


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


Shown = tuple[Frame, Sequence[Bbox]]
"""A picture, and the regions to hide in it."""


class _State(msgspec.Struct):
    segment: int
    trails: bytes


class AnnotationStage(TaskStage):
    """Draws every frame and writes it into segments; a segment and its offsets go together.

    A frame without pixels becomes a repeat of the one before it, so that frames out equal frames
    in; the first of a segment becomes grey, so that a segment depends on nothing before it. So does
    a frame on which a stage failed: that stage may be the one that knows what to hide.
    """

    name = "annotation"

    def __init__(self, plan: AnnotationPlan) -> None:
        self._plan = plan
        self._trails = Trails(plan.trail)
        self._writer = self._writer_at(0)
        self._last: Shown | None = None
        self._due = False

    def process(self, item: Item) -> FrameResult:
        self._trails.update(item.result.detections)
        try:
            picture = self._annotated(item)
        except Exception:  # whatever it was, the frame fails, but frames out stay frames in
            self._write(self._writer.canvas(self._grey()), item.result)
            raise
        self._write(picture, item.result)
        return item.result

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
        # The folder may hold later segments of an earlier, longer attempt.
        segments = finished_segments(self._plan.segments)[: self._writer.next_segment]
        if len(segments) < self._writer.next_segment:
            raise OutputError(f"{self._plan.segments}: a segment is gone; run again")
        written = 0
        if segments:
            written = join_segments(segments, self._plan.video, self._plan.source).frames
        if written != end.frames:
            raise OutputError(f"{self._plan.video}: {written} of {end.frames} frames; run again")

    def discard(self) -> None:
        shutil.rmtree(self._plan.segments, ignore_errors=True)

    def close(self) -> None:
        self._writer.abandon()

    def _shown(self, item: Item) -> Shown:
        """The picture to show, and what to hide in it.

        Raises:
            MessageError: nobody can tell what to hide, so that no picture may be shown.
        """
        hidden = hidden_regions(item.result.extra)
        if item.frame is not None and item.result.error is None:
            self._last = (item.frame, hidden)
            return self._last
        if self._last is None:
            return self._grey(), hidden
        frame, hidden_then = self._last
        return frame, [*hidden_then, *hidden]

    def _annotated(self, item: Item) -> Picture:
        frame, hidden = self._shown(item)
        picture = self._writer.canvas(frame)
        kr, kb = frame.matrix.value
        width, height = frame.width, frame.height
        canvas = Canvas(picture.y, picture.u, picture.v, width, height, kr, kb)
        hide_regions(canvas, hidden)
        trails = self._trails if self._plan.trail else None
        draw_detections(canvas, item.result.detections, self._plan.skeleton, trails)
        return picture

    def _write(self, picture: Picture, result: FrameResult) -> None:
        picture.picture.pts = result.pts
        self._due = self._writer.write(picture) is not None
        if self._due:
            self._last = None

    def _grey(self) -> Frame:
        """Stands for a picture that there is not, or that may not be shown."""
        pictures = self._plan.pictures
        width, height = pictures.width, pictures.height
        chroma = np.full(((height + 1) // 2, (width + 1) // 2), NEUTRAL, np.uint8)
        luma = np.full((height, width), _GREY, np.uint8)
        return Frame(0, 0, pictures.time_base, luma, chroma, chroma, pictures.matrix)

    def _writer_at(self, segment: int) -> SegmentWriter:
        plan = self._plan
        return SegmentWriter(
            plan.segments,
            plan.pictures,
            plan.encoder,
            frames_per_segment=plan.segment_frames,
            next_segment=segment,
        )
