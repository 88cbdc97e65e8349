"""The committed tables belong to the pinned files, and the graphs made by them agree with f32."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from contanos.errors import ModelError
from contanos.models import calibration
from contanos.models.calibration import Calibration, calibrate, derive, load, save
from contanos.models.runtime import Session, open_session

TABLES = Path(calibration.__file__).parents[2] / "video_analysis" / "models" / "calibration"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def pose(rtmpose_s: Path) -> onnx.ModelProto:
    return onnx.load(rtmpose_s)


@pytest.fixture(scope="module")
def table(rtmpose_s: Path) -> Calibration:
    return load(TABLES / "rtmpose-s-halpe26.json", digest(rtmpose_s))


@pytest.fixture(scope="module")
def plain(pose: onnx.ModelProto) -> Session:
    return open_session(pose, "onnxruntime", "f32", 1)


def crops() -> np.ndarray:
    """Two smooth pictures, normalised like a person's crop, [2, 3, 256, 192]."""
    coarse = np.random.default_rng(1).normal(size=(2, 3, 8, 6))
    return coarse.repeat(32, axis=2).repeat(32, axis=3).astype(np.float32)


def test_bf16_graph_is_the_same_function_in_f32(
    pose: onnx.ModelProto, table: Calibration, plain: Session
) -> None:
    centred = open_session(derive(pose, "bf16", "openvino", table), "onnxruntime", "f32", 1)
    for before, after in zip(
        plain.run({"input": crops()}), centred.run({"input": crops()}), strict=True
    ):
        np.testing.assert_allclose(after, before, atol=2e-3 * np.abs(before).max())


def test_int8_graph_sees_the_same_pose(
    pose: onnx.ModelProto, table: Calibration, plain: Session
) -> None:
    pytest.importorskip("openvino", reason="the int8 pose is OpenVINO's")
    small = open_session(derive(pose, "int8", "openvino", table), "openvino", "int8", 1)
    for before, after in zip(
        plain.run({"input": crops()}), small.run({"input": crops()}), strict=True
    ):
        agreement = np.corrcoef(before.reshape(-1), after.reshape(-1))[0, 1]
        assert 0.9 < agreement < 0.999999


def test_f32_is_the_file_itself(pose: onnx.ModelProto, table: Calibration) -> None:
    assert derive(pose, "f32", "onnxruntime", table) is pose


def test_a_table_of_another_file_is_refused(yolox_tiny: Path) -> None:
    with pytest.raises(ModelError, match="calibrated for another model file"):
        load(TABLES / "rtmpose-s-halpe26.json", digest(yolox_tiny))
    load(TABLES / "yolox-tiny-humanart.json", digest(yolox_tiny))


def test_a_calibration_survives_its_file(pose: onnx.ModelProto, tmp_path: Path) -> None:
    made = calibrate(pose, [crops()], sha256="ab", frames="blobs", centred=True, keep=["510"])
    save(made, tmp_path / "table.json")
    assert load(tmp_path / "table.json", "ab") == made
    assert "510" not in made.ranges
    assert made.means.keys() >= {"270", "304"}


def test_a_missing_or_broken_table_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    for path in (broken, tmp_path / "missing.json"):
        with pytest.raises(ModelError, match="cannot read the calibration"):
            load(path, "")
