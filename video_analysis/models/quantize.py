"""Makes a calibration table: what `contanos models quantize` runs.

The float model watches frames of freely licensed videos, as they are and in variations, fed by the
stages' own preprocessing. Which convolutions stay in float is found in one pass: each alone is put
into 8 bits, and those by which the outputs on frames held out change most are kept.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count
from pathlib import Path

import cv2
import numpy as np
import onnx
from msgspec.structs import replace

from contanos.errors import ModelError, ModelUnavailable, SettingError
from contanos.geometry import Floats
from contanos.models.calibration import Calibration, calibrate, derive, upgrade
from contanos.models.fetch import fetch
from contanos.models.graph import raw_head
from contanos.models.manifest import Asset
from contanos.models.quantize import chosen
from contanos.models.record import Recorder, varied
from contanos.models.runtime import Array, open_session
from contanos.video.frame import Frame, Matrix, Picture
from contanos.video.source import VideoSource
from video_analysis.models import manifest
from video_analysis.rtmpose.stage import Person, RtmposeStage
from video_analysis.settings import Options, usable_cores
from video_analysis.yolox.stage import YoloxStage

SAMPLES = ("demo", "pose2sim-cam01", "pose2sim-cam02", "pose2sim-cam03", "pose2sim-cam04")
"""Freely licensed, and nobody scores them; vtest.avi is scored, as PETS09-S2L1."""

FRAMES, KEEP = 10, 8
_VARIATIONS = 2
_HELD_OUT = 16  # inputs that each convolution is tried on

Say = Callable[[str], None]


@dataclass(frozen=True)
class Clip:
    """A video to calibrate on: its file, and its name and licence for the table."""

    path: Path
    about: str


def make_table(
    asset: Asset, clips: Sequence[Clip], frames: int = FRAMES, keep: int = KEEP, say: Say = print
) -> Calibration:
    """The calibration table of a detector or pose model; the same arguments make the same table.

    Args:
        asset: a model of the manifest.
        clips: freely licensed videos with people, and none that a score is taken on.
        frames: of each clip, at most; memory grows with them.
        keep: how many convolutions stay in float, beside those that always do.
        say: told what is done.

    Raises:
        ModelError: the model cannot be had, or nobody is seen in the clips.
        SettingError: `asset` is not a model.
        InputError: a clip cannot be read.
    """
    graph = float_graph(asset)
    watched, held_out = _halves(clips, frames)
    inputs, trials = _inputs(asset, chain(watched, _varied(watched))), _inputs(asset, held_out)
    if not trials:
        raise ModelError(f"nobody is seen in the clips, so {asset.name} has nothing to learn from")
    say(f"{asset.name} watches {len(inputs)} inputs from {len(watched)} frames")
    about = (
        f"{len(watched)} frames of {', '.join(clip.about for clip in clips)}, "
        f"each also in {_VARIATIONS} variations"
    )
    centred = asset.about["task"] == "pose"
    table = calibrate(graph, inputs, sha256=asset.sha256, frames=about, centred=centred)
    return _keeping(graph, table, _evenly(trials, _HELD_OUT), keep, say)


def float_graph(asset: Asset) -> onnx.ModelProto:
    """The float model as it is calibrated and run.

    Raises:
        SettingError: `asset` is not a model.
    """
    if asset.about["task"] not in ("detect", "pose"):
        raise SettingError(f"{asset.name} is a {asset.about['task']}, not a model")
    graph = onnx.load(fetch(asset))
    return upgrade(raw_head(graph) if asset.about.get("export") == "nms" else graph)


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


def sensitivities(
    graph: onnx.ModelProto, table: Calibration, trials: Sequence[Array]
) -> dict[str, float]:
    """How far the outputs move when one convolution alone is in 8 bits, by its output's name.

    Args:
        graph: float, as `float_graph` gives it.
        table: with ranges of all convolutions.
        trials: inputs that `table` was not made from.

    Returns:
        The distance between the outputs in 8 bits and in float, relative to the latter's norm.
    """
    names = _convolutions(graph, table)
    exact = _outputs(graph, trials)

    def alone(name: str) -> float:
        others = replace(table, keep=[each for each in names if each != name])
        return _distance(exact, _outputs(_in_8_bits(graph, others), trials))

    with ThreadPoolExecutor(usable_cores()) as pool:
        return dict(zip(names, pool.map(alone, names), strict=True))


def _keeping(
    graph: onnx.ModelProto, table: Calibration, trials: Sequence[Array], keep: int, say: Say
) -> Calibration:
    """`table` with the `keep` most sensitive convolutions in float, and no range they alone use."""
    if keep == 0:
        return table
    say(f"each convolution alone in 8 bits, on {len(trials)} inputs held out ...")
    found = sensitivities(graph, table, trials)
    worst = sorted(found, key=lambda name: -found[name])[:keep]
    kept = replace(table, keep=worst)
    used = {
        name
        for conv in chosen(derive(graph, "bf16", "openvino", table).graph, frozenset(worst))
        for name in (conv.input[0], conv.output[0])
    }
    say(f"kept in float: {', '.join(f'{name} ({found[name]:.2%})' for name in worst)}")
    exact = _outputs(graph, trials)
    before, after = (
        _distance(exact, _outputs(_in_8_bits(graph, each), trials)) for each in (table, kept)
    )
    say(f"outputs differ from f32 by {after:.2%}; with none kept by {before:.2%}")
    return replace(kept, ranges={name: kept.ranges[name] for name in kept.ranges if name in used})


def _convolutions(graph: onnx.ModelProto, table: Calibration) -> list[str]:
    centred = derive(graph, "bf16", "openvino", table)
    return [conv.output[0] for conv in chosen(centred.graph)]


def _in_8_bits(graph: onnx.ModelProto, table: Calibration) -> onnx.ModelProto:
    return derive(graph, "int8", "openvino", table)


def _outputs(graph: onnx.ModelProto, trials: Sequence[Array]) -> list[Floats]:
    """Computed by onnxruntime, which runs this kind of 8-bit graph exactly, on every CPU."""
    session = open_session(graph, "onnxruntime", "int8", 1)
    name = graph.graph.input[0].name
    return [_telling(session.run({name: each})) for each in trials]


def _telling(outputs: Sequence[Array]) -> Floats:
    """What of a model's outputs decides: SimCC vectors as they are, a grid's boxes by score."""
    if len(outputs) > 1:
        return np.concatenate([each.ravel() for each in outputs])
    (grid,) = outputs
    score = grid[..., 4:5] * grid[..., 5:6]
    return np.concatenate([grid[..., :4] * score, score], axis=-1).ravel()


def _distance(exact: Sequence[Floats], found: Sequence[Floats]) -> float:
    moved = sum(float(np.square(a - b).sum()) for a, b in zip(exact, found, strict=True))
    return float(np.sqrt(moved / sum(float(np.square(a).sum()) for a in exact)))


def _inputs(asset: Asset, frames: Iterable[Frame]) -> list[Array]:
    """What the stages feed the model over `frames`."""
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


def _halves(clips: Sequence[Clip], frames: int) -> tuple[list[Frame], list[Frame]]:
    """Every other of evenly spaced frames to watch, and those between them, held out."""
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


def _evenly(inputs: Sequence[Array], most: int) -> list[Array]:
    at = np.linspace(0, len(inputs) - 1, min(most, len(inputs))).round().astype(int)
    return [inputs[index] for index in at]


def _varied(frames: Sequence[Frame]) -> Iterator[Frame]:
    seeds = count()
    for frame in frames:
        picture = frame.bgr()
        for _ in range(_VARIATIONS):
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
