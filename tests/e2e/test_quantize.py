"""A calibration table made anew: the same every time, and as good as it has to be."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from contanos.geometry import Floats, iou_matrix
from contanos.models.calibration import Calibration, derive, load
from contanos.models.runtime import open_session
from tests.e2e.cli import COMMAND, contanos
from video_analysis.models import manifest
from video_analysis.models.examples import Clip, float_graph, halves
from video_analysis.yolox.stage import YoloxStage

NAME = "yolox-tiny-humanart"
SURE, SEEN = 0.6, 0.3


@pytest.fixture(scope="module")
def tables(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of the same command, side by side."""
    folder = tmp_path_factory.mktemp("tables")
    paths = [folder / "first.json", folder / "second.json"]
    options = ["--frames", "2", "--keep", "4"]

    def make(path: Path) -> None:
        command = [*COMMAND, "models", "quantize", NAME, str(demo_video), *options]
        subprocess.run([*command, "--out", str(path)], check=True, env=os.environ)

    with ThreadPoolExecutor() as pool:
        list(pool.map(make, paths))
    return paths


@pytest.fixture(scope="module")
def table(tables: list[Path]) -> Calibration:
    return load(tables[0], manifest()[NAME].sha256)


def test_the_same_command_makes_the_same_bytes(tables: list[Path]) -> None:
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_the_table_says_what_it_was_made_from(table: Calibration) -> None:
    assert table.frames == "2 frames of sports2d-demo.mp4, each also in 2 variations"
    assert len(table.keep) == len(set(table.keep)) == 4


def test_what_stays_in_float_needs_no_range(table: Calibration) -> None:
    assert not set(table.keep) & set(table.ranges)


def test_the_int8_detector_sees_the_people_that_the_float_one_sees(
    table: Calibration, demo_video: Path
) -> None:
    pytest.importorskip("openvino", reason="the int8 detector is OpenVINO's")
    graph = float_graph(manifest()[NAME])
    small = derive(graph, "int8", "openvino", table)
    exact = YoloxStage(open_session(graph, "onnxruntime", "f32", 1), "grid", (416, 416))
    rounded = YoloxStage(open_session(small, "openvino", "int8", 1), "grid", (416, 416))
    _, held_out = halves([Clip(demo_video, "demo")], 6)
    people = 0
    for frame in held_out:
        in_float, in_8_bits = exact.detect(frame), rounded.detect(frame)
        people += len(sure(in_float))
        assert found(sure(in_float), in_8_bits)
        assert found(sure(in_8_bits), in_float)
    assert people >= len(held_out) // 2


def sure(boxes: Floats) -> Floats:
    return boxes[boxes[:, 4] >= SURE]


def found(people: Floats, boxes: Floats) -> bool:
    """Whether each of `people` has a box of its own in `boxes`."""
    seen = boxes[boxes[:, 4] >= SEEN]
    best = iou_matrix(people[:, :4], seen[:, :4]) > 0.8
    return bool(best.any(axis=1).all()) and len(np.flatnonzero(best.any(axis=0))) >= len(people)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "known:"),
        (["demo"], "not a model"),
        ([NAME, "missing.mp4"], "missing.mp4"),
        ([NAME, "--out", "no/such/folder/x.json"], "make it first"),
    ],
)
def test_what_cannot_be_quantized(arguments: list[str], message: str, tmp_path: Path) -> None:
    ran = contanos("models", "quantize", *arguments)
    assert ran.returncode == 2
    assert message in ran.stderr
