"""What a model is calibrated on: frames of videos, as the stages feed them to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import onnx

from contanos.errors import ModelUnavailable, SettingError
from contanos.models.calibration import upgrade
from contanos.models.fetch import fetch
from contanos.models.graph import raw_head
from contanos.models.manifest import Asset
from contanos.models.record import Recorder, varied
from contanos.models.runtime import Array, open_session
from contanos.video.frame import Frame, Matrix, Picture
from contanos.video.source import VideoSource
from video_analysis.models import manifest
from video_analysis.rtmpose.stage import Person, RtmposeStage
from video_analysis.settings import Options
from video_analysis.yolox.stage import YoloxStage

SAMPLES = ("demo", "pose2sim-cam01", "pose2sim-cam02", "pose2sim-cam03", "pose2sim-cam04")
"""Freely licensed, and nobody scores them; vtest.avi is scored, as PETS09-S2L1."""

VARIATIONS = 2
"""Of each frame that is watched."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Clip:
    """A video to calibrate on: its file, and its name and licence for the table."""

    path: Path
    about: str


def sample_clips(names: Sequence[str], say: Say = print) -> list[Clip]:
    """Clips by file or by sample name; by default those of `SAMPLES` that can be had.

    Raises:
        ModelUnavailable: a sample that was named, or every default one, cannot be fetched.
    """
    if names:
        return [_clip(name) for name in names]
    found = []
    for name in SAMPLES:
        try:
            found.append(_clip(name))
        except ModelUnavailable as e:
            say(f"without {name}: {e}")
    if not found:
        raise ModelUnavailable("no sample video can be fetched; name videos of your own")
    return found


def float_graph(asset: Asset) -> onnx.ModelProto:
    """The float model as it is calibrated and run.

    Raises:
        SettingError: `asset` is not a model.
    """
    if asset.about["task"] not in ("detect", "pose"):
        raise SettingError(f"{asset.name} is a {asset.about['task']}, not a model")
    graph = onnx.load(fetch(asset))
    return upgrade(raw_head(graph) if asset.about.get("export") == "nms" else graph)


def inputs(asset: Asset, frames: Iterable[Frame]) -> list[Array]:
    """What the stages feed the model over `frames`, one picture or person each.

    A pose model sees the people that the default detector finds with the default `det_score`.
    """
    posing = asset.about["task"] == "pose"
    detector = _detector(manifest()[Options().detector] if posing else asset)
    pose = _pose(asset) if posing else None
    stage = pose or detector
    recorder = Recorder(stage.session, limit=1_000_000)
    stage.session = recorder
    for frame in frames:
        boxes = detector.detect(frame)
        if pose is not None:
            sure = boxes[boxes[:, 4] >= Options().det_score, :4].tolist()
            pose.estimate([Person(frame, tuple(box)) for box in sure])
    return recorder.batches


def _detector(asset: Asset) -> YoloxStage:
    session = open_session(float_graph(asset), "onnxruntime", "f32", 1)
    cut = asset.about["export"] == "nms"
    return YoloxStage(session, "grid", _input_size(asset), free_size=cut)


def _pose(asset: Asset) -> RtmposeStage:
    session = open_session(float_graph(asset), "onnxruntime", "f32", 1)
    return RtmposeStage(session, _input_size(asset), batch_size=1)


def _input_size(asset: Asset) -> tuple[int, int]:
    return asset.about["width"], asset.about["height"]


def _clip(name: str) -> Clip:
    asset = manifest().assets.get(name)
    if asset is None or Path(name).exists():
        return Clip(Path(name), Path(name).name)
    return Clip(fetch(asset), f"{asset.file} ({asset.licence})")


def halves(clips: Sequence[Clip], frames: int) -> tuple[list[Frame], list[Frame]]:
    """Every other of evenly spaced frames to watch, and those between them, held out.

    Args:
        clips: videos.
        frames: of each clip in either half, at most.

    Raises:
        InputError: a clip cannot be read.
    """
    watched: list[Frame] = []
    held_out: list[Frame] = []
    for clip in clips:
        with VideoSource(clip.path) as source:
            found = _spread((each for each in source if isinstance(each, Frame)), 2 * frames)
        watched += found[::2]
        held_out += found[1::2]
    return watched, held_out


def _spread(frames: Iterable[Frame], most: int) -> list[Frame]:
    """More than half of `most`, evenly spaced, from a stream of unknown length."""
    kept: list[Frame] = []
    stride = 1
    for index, frame in enumerate(frames):
        if index % stride == 0:
            if len(kept) == most:
                kept, stride = kept[::2], 2 * stride
            if index % stride == 0:
                kept.append(frame)
    return kept


def variations(frames: Sequence[Frame]) -> Iterator[Frame]:
    """`VARIATIONS` pictures made of each frame, the same ones every time."""
    seeds = count()
    for frame in frames:
        picture = frame.bgr()
        for _ in range(VARIATIONS):
            yield _frame(varied(picture, next(seeds)))


def _frame(picture: Picture) -> Frame:
    """A BGR picture as a decoder would give it; an odd last row or column is cut."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    flat = cv2.cvtColor(picture[:height, :width], cv2.COLOR_BGR2YUV_I420).ravel()
    y, u, v = np.split(flat, [height * width, height * width * 5 // 4])
    half = (height // 2, width // 2)
    return Frame(
        0,
        0,
        Fraction(1),
        np.asarray(y.reshape(height, width), np.uint8),
        np.asarray(u.reshape(half), np.uint8),
        np.asarray(v.reshape(half), np.uint8),
        matrix=Matrix.BT601,
    )
