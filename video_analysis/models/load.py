"""Opens the networks that a task asks for, in the precision that suits the machine."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnx

from contanos.errors import ModelError, SettingError
from contanos.models.calibration import derive, load
from contanos.models.choose import Choice, Step, choose, this_machine
from contanos.models.fetch import fetch
from contanos.models.graph import raw_head
from contanos.models.manifest import Asset
from contanos.models.runtime import Session, open_session
from contanos.skeleton import Skeleton, skeleton
from video_analysis.models import manifest
from video_analysis.models.measured import DETECTOR, POSE, UNCALIBRATED
from video_analysis.results.metadata import ModelUsed
from video_analysis.rtmpose.stage import RtmposeStage
from video_analysis.settings import Options, PrecisionName, RuntimeName
from video_analysis.yolox.stage import LOWEST_SCORE, YoloxStage

_CALIBRATIONS = Path(__file__).with_name("calibration")
_GPU_BATCH, _CPU_BATCH = 16, {"onnxruntime": 1, "openvino": 4}
_LINGER = 0.25  # seconds that an incomplete batch of people waits


@dataclass(frozen=True, slots=True)
class Models:
    """The networks of a task, and what is to be said of them.

    Attributes:
        detector: finds people.
        pose: finds their keypoints.
        skeleton: of these keypoints.
        used: names, checksums, runtimes and precisions, and why these.
    """

    detector: YoloxStage
    pose: RtmposeStage
    skeleton: Skeleton
    used: tuple[ModelUsed, ...]


def load_models(options: Options, threads: int, lowest_score: float = LOWEST_SCORE) -> Models:
    """Fetch, derive and open the models that `options` name.

    Args:
        options: names, runtime and precision.
        threads: inferences that may run at once.
        lowest_score: boxes below it are dropped.

    Raises:
        ModelError: a file cannot be had, or is not what the manifest pins.
        SettingError: a model is of another kind, or cannot run as asked on this machine.
    """
    detector, pose = _asset(options.detector, "detect"), _asset(options.pose, "pose")
    machine_choice = {
        asset.name: _choice(asset, ladder, options.runtime, options.precision)
        for asset, ladder in ((detector, DETECTOR), (pose, POSE))
    }
    return Models(
        _detector(detector, machine_choice[detector.name], threads, lowest_score),
        _pose(pose, machine_choice[pose.name], threads),
        skeleton(pose.about["skeleton"]),
        tuple(_used(asset, machine_choice[asset.name]) for asset in (detector, pose)),
    )


def auto_choices() -> tuple[Choice, Choice]:
    """What `auto` picks on this machine for the default detector and pose model."""
    options, known = Options(), manifest()
    return (
        _choice(known[options.detector], DETECTOR, "auto", "auto"),
        _choice(known[options.pose], POSE, "auto", "auto"),
    )


def _asset(name: str, task: str) -> Asset:
    known = manifest()
    asset = known[name]
    if asset.about["task"] != task:
        fit = [each.name for each in known.assets.values() if each.about["task"] == task]
        raise SettingError(f"{name} does not {task}; choose one of {', '.join(fit)}")
    return asset


def _choice(
    asset: Asset, ladder: Sequence[Step], runtime: RuntimeName, precision: PrecisionName
) -> Choice:
    return choose(
        ladder if _table(asset).exists() else UNCALIBRATED,
        this_machine(),
        None if runtime == "auto" else runtime,
        None if precision == "auto" else precision,
    )


def _detector(asset: Asset, choice: Choice, threads: int, lowest_score: float) -> YoloxStage:
    graph, export, free_size = _detector_graph(asset)
    session = _session(asset, graph, choice, threads)
    size = (asset.about["width"], asset.about["height"])
    return YoloxStage(session, export, size, free_size=free_size, min_score=lowest_score)


def _detector_graph(asset: Asset) -> tuple[onnx.ModelProto, str, bool]:
    """The graph to run, how it ends, and whether its input size is free.

    An export with NMS inside is cut back to its raw grid where we know its shape: it then takes
    any size, and computes no class that nobody asks for. Another one runs as it is.
    """
    graph, export = onnx.load(fetch(asset)), asset.about["export"]
    if export == "nms":
        with suppress(ModelError):
            return raw_head(graph), "grid", True
    return graph, export, False


def _pose(asset: Asset, choice: Choice, threads: int) -> RtmposeStage:
    session = _session(asset, onnx.load(fetch(asset)), choice, threads)
    size = (asset.about["width"], asset.about["height"])
    batch = _CPU_BATCH[choice.runtime] if session.device.startswith("CPU") else _GPU_BATCH
    return RtmposeStage(session, size, batch, _LINGER if batch > 1 else 0.0)


def _session(asset: Asset, graph: onnx.ModelProto, choice: Choice, threads: int) -> Session:
    if choice.precision != "f32":
        table = load(_table(asset), asset.sha256)
        graph = derive(graph, choice.precision, choice.runtime, table)
    return open_session(graph, choice.runtime, choice.precision, threads)


def _used(asset: Asset, choice: Choice) -> ModelUsed:
    return ModelUsed(
        name=asset.name,
        sha256=asset.sha256,
        runtime=choice.runtime,
        precision=choice.precision,
        why=choice.reason,
    )


def _table(asset: Asset) -> Path:
    return _CALIBRATIONS / f"{asset.name}.json"
