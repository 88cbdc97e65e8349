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
    used = choose_models(options)
    return Models(
        open_detector(used[0], threads, lowest_score),
        open_pose(used[1], threads),
        skeleton_of(used[1]),
        used,
    )


def choose_models(options: Options) -> tuple[ModelUsed, ModelUsed]:
    """The detector and the pose model that `options` mean on this machine; nothing is loaded.

    Raises:
        ModelError: the manifest does not know a name.
        SettingError: a model is of another kind, or cannot run as asked on this machine.
    """
    return (
        _chosen(options.detector, "detect", DETECTOR, options),
        _chosen(options.pose, "pose", POSE, options),
    )


def open_detector(used: ModelUsed, threads: int, lowest_score: float = LOWEST_SCORE) -> YoloxStage:
    """A detector, loaded; see `load_models` for arguments and errors."""
    asset = _pinned(used)
    graph, export, free_size = _detector_graph(asset)
    session = _session(asset, graph, used, threads)
    size = (asset.about["width"], asset.about["height"])
    return YoloxStage(session, export, size, free_size=free_size, min_score=lowest_score)


def open_pose(used: ModelUsed, threads: int) -> RtmposeStage:
    """A pose model, loaded; see `load_models` for arguments and errors."""
    asset = _pinned(used)
    session = _session(asset, onnx.load(fetch(asset)), used, threads)
    size = (asset.about["width"], asset.about["height"])
    batch = _CPU_BATCH[used.runtime] if session.device.startswith("CPU") else _GPU_BATCH
    return RtmposeStage(session, size, batch, _LINGER if batch > 1 else 0.0)


def skeleton_of(used: ModelUsed) -> Skeleton:
    """The skeleton whose keypoints a pose model gives."""
    return skeleton(_pinned(used).about["skeleton"])


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


def _session(asset: Asset, graph: onnx.ModelProto, used: ModelUsed, threads: int) -> Session:
    if used.precision != "f32":
        table = load(_table(asset), asset.sha256)
        graph = derive(graph, used.precision, used.runtime, table)
    return open_session(graph, used.runtime, used.precision, threads)


def _chosen(name: str, task: str, ladder: Sequence[Step], options: Options) -> ModelUsed:
    asset = _asset(name, task)
    choice = _choice(asset, ladder, options.runtime, options.precision)
    return ModelUsed(
        name=asset.name,
        sha256=asset.sha256,
        runtime=choice.runtime,
        precision=choice.precision,
        why=choice.reason,
    )


def _pinned(used: ModelUsed) -> Asset:
    asset = manifest()[used.name]
    if asset.sha256 != used.sha256:
        raise ModelError(
            f"{used.name} is {asset.sha256[:12]} here, but the task wants {used.sha256[:12]}: "
            "run the same version on every machine"
        )
    return asset


def _table(asset: Asset) -> Path:
    return _CALIBRATIONS / f"{asset.name}.json"
