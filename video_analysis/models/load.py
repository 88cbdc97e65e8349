"""Opens the networks that a task asks for, in the precision that suits the machine."""

from dataclasses import dataclass

import onnx

from contanos.models.fetch import fetch
from contanos.models.graph import raw_head
from contanos.models.runtime import open_session
from contanos.skeleton import Skeleton, skeleton
from video_analysis.models import manifest
from video_analysis.results.metadata import ModelUsed
from video_analysis.rtmpose.stage import RtmposeStage
from video_analysis.settings import Options
from video_analysis.yolox.stage import YoloxStage


@dataclass(frozen=True, slots=True)
class Models:
    detector: YoloxStage
    pose: RtmposeStage
    skeleton: Skeleton
    used: tuple[ModelUsed, ...]


def auto_choices():
    return [("onnxruntime", "f32")]


def load_models(options: Options, threads: int, lowest_score: float = 0.1) -> Models:
    det, pose = manifest()[options.detector], manifest()[options.pose]
    d = open_session(raw_head(onnx.load(fetch(det))), "onnxruntime", "f32", threads)
    p = open_session(fetch(pose), "onnxruntime", "f32", threads)
    used = tuple(
        ModelUsed(name=a.name, sha256=a.sha256, runtime="onnxruntime", precision="f32")
        for a in (det, pose)
    )
    return Models(
        YoloxStage(d, "grid", (416, 416), free_size=True, min_score=lowest_score),
        RtmposeStage(p, (192, 256), 4),
        skeleton(pose.about["skeleton"]),
        used,
    )
