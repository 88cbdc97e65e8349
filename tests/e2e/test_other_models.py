"""The other exports that the manifest names, made from the models at hand: the same weights in the
shape of Megvii's raw-grid export, with NMS inside, and a pose model with COCO's 17 keypoints."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from contanos.geometry import iou_matrix
from contanos.models.graph import free_shape, raw_head
from contanos.models.manifest import Asset, Manifest
from contanos.models.onnxruntime import OnnxRuntimeSession
from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from video_analysis.models import load
from video_analysis.models.load import load_models
from video_analysis.rtmpose.stage import Person
from video_analysis.settings import Options
from video_analysis.yolox.stage import YoloxStage

FRAME = 80


@pytest.fixture(scope="module")
def frame(demo_video: Path) -> Frame:
    with VideoSource(demo_video) as source:
        found = next(each for each in source if each.frame_id == FRAME)
    assert isinstance(found, Frame)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTANOS_MODEL_DIR", str(tmp_path))
    return tmp_path


def known(monkeypatch: pytest.MonkeyPatch, path: Path, **about: object) -> None:
    """Makes the model in `path` known under the name "other"."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    asset = Asset(
        name="other", file=path.name, sha256=sha256, licence="Apache-2.0", sources=(), about=about
    )
    real = load.manifest().assets
    monkeypatch.setattr(load, "manifest", lambda: Manifest(real | {"other": asset}))


def same_people(found: np.ndarray, expected: np.ndarray) -> bool:
    sure = expected[expected[:, 4] > 0.3]
    best = iou_matrix(sure[:, :4], found[:, :4]).max(axis=1)
    return len(sure) >= 2 and bool((best > 0.8).all())


F32 = Options(runtime="onnxruntime", precision="f32")


def test_a_raw_grid_export_of_eighty_classes_and_fixed_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch, yolox_tiny: Path, frame: Frame
) -> None:
    expected = load_models(F32, 1).detector.detect(frame)
    graph = raw_head(onnx.load(yolox_tiny), classes=range(80))
    free_shape(graph.graph.input[0], [1, 3, 416, 416])
    onnx.save(graph, folder / "grid.onnx")
    known(monkeypatch, folder / "grid.onnx", task="detect", export="grid", width=416, height=416)
    models = load_models(Options(detector="other"), 1)
    assert models.used[0].precision == "f32"  # nobody has calibrated it
    assert same_people(models.detector.detect(frame), expected)


def test_suppression_inside_the_graph_and_ours_agree(yolox_tiny: Path, frame: Frame) -> None:
    inside = YoloxStage(OnnxRuntimeSession(yolox_tiny.read_bytes()), "nms", (416, 416))
    cut = raw_head(onnx.load(yolox_tiny)).SerializeToString()
    ours = YoloxStage(OnnxRuntimeSession(cut), "grid", (416, 416))
    np.testing.assert_allclose(inside.detect(frame), ours.detect(frame), rtol=1e-3, atol=1e-2)


def test_a_pose_model_with_seventeen_keypoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rtmpose_s: Path, frame: Frame
) -> None:
    person = [Person(frame, (1060.0, 516.0, 1340.0, 937.0))]
    expected = load_models(F32, 1).pose.estimate(person)[0]
    onnx.save(first_keypoints(onnx.load(rtmpose_s), 17), folder / "pose17.onnx")
    known(
        monkeypatch,
        folder / "pose17.onnx",
        task="pose",
        skeleton="coco17",
        width=192,
        height=256,
    )
    models = load_models(Options(pose="other"), 1)
    assert len(models.skeleton.keypoints) == 17
    np.testing.assert_allclose(models.pose.estimate(person)[0], expected[:17], atol=1e-3)


def first_keypoints(model: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """The model with all but the first keypoints cut off its outputs."""
    graph = model.graph
    bounds = {"start": 0, "end": count, "axis": 1}
    graph.initializer.extend(
        numpy_helper.from_array(np.array([value], np.int64), name) for name, value in bounds.items()
    )
    for output, bins in zip(list(graph.output), (384, 512), strict=True):
        for node in graph.node:
            for i, name in enumerate(node.output):
                if name == output.name:
                    node.output[i] = f"{name}_all"
        inputs = [f"{output.name}_all", *bounds]
        graph.node.append(helper.make_node("Slice", inputs, [output.name]))
        free_shape(output, ["batch", count, bins])
    return model
