"""`docs/add-a-stage.md` as written: its file, its lines, its run, its tests, and steadier poses."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contanos.messages import Detection, FrameResult
from contanos.stage.contract import Item, Task
from tests.conftest import ROOT
from tests.e2e.cli import COMMAND, contanos
from video_analysis.results.reader import Results, open_results

DOCUMENT = (ROOT / "docs" / "add-a-stage.md").read_text()
STAGE, TESTS = "video_analysis/steady.py", "tests/unit/test_steady.py"
CHANGED = ("video_analysis/pipeline.py", "video_analysis/services/__init__.py")
FRAMES = 60
RATE = 30.0  # of the sample, frames a second


def blocks(path: str, kind: str) -> list[str]:
    """What the document shows as the file at `path`, or as changes to it, block by block."""
    fenced = rf"```{kind}\n.*?^```\n\n?"
    (shown,) = re.findall(rf"^`{re.escape(path)}`:\n\n((?:{fenced})+)", DOCUMENT, re.M | re.S)
    return re.findall(rf"```{kind}\n(.*?)^```$", shown, re.M | re.S)


def changed(text: str, changes: list[str]) -> str:
    """`text` with the document's changes applied."""
    for change in changes:
        lines = change.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"the document changes what is not there: {before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, changed as the document says."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("contanos", "video_analysis"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("*.pyc"))
    for path in (STAGE, TESTS):
        (text,) = blocks(path, "python")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for path in CHANGED:
        file = root / path
        file.write_text(changed(file.read_text(), blocks(path, "diff")))
    return root


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("plain") / "out"
    ran = contanos("run", "demo", "--out", folder, "--max-frames", FRAMES, "--no-video")
    assert ran.returncode == 0, ran.stderr
    return open_results(folder)


@pytest.fixture(scope="module")
def folder(tree: Path) -> Path:
    """Where the changed program wrote to, with face blur after the new stage."""
    command = [*COMMAND, "run", "demo", "--out", "out", "--max-frames", str(FRAMES), "--blur"]
    ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return tree / "out"


def walker(frame: FrameResult) -> Detection | None:
    return next((each for each in frame.detections if each.track_id == 1), None)


def course(results: Results) -> np.ndarray:
    """Where the walker's keypoints are found, frame by frame; float [frames, keypoints, 2]."""
    seen = [person for frame in results if (person := walker(frame)) is not None]
    return np.array([each.keypoints for each in seen])[:, :, :2]


def trembling(points: np.ndarray) -> float:
    """Pixels by which a keypoint leaves the straight line between its neighbours in time."""
    return float(np.median(np.abs(points[1:-1] - (points[:-2] + points[2:]) / 2)))


def test_the_run_is_complete_and_all_else_is_the_same(plain: Results, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_bytes())
    assert summary["proof"]["complete"] is True
    assert list(summary["stage_seconds"])[-4:] == ["steady", "faceblur", "annotation", "results"]
    for one, other in zip(plain, open_results(folder), strict=True):
        for before, after in zip(one.detections, other.detections, strict=True):
            assert (after.bbox, after.score, after.track_id) == (
                before.bbox,
                before.score,
                before.track_id,
            )


def test_poses_tremble_less_and_stay_where_they_were(plain: Results, folder: Path) -> None:
    before, after = course(plain), course(open_results(folder))
    assert len(before) == len(after) > FRAMES // 2
    assert trembling(before) > 0.5
    assert trembling(after) < 0.75 * trembling(before)
    assert np.median(np.abs(after - before)) < 6  # of some 540 that she is tall


def test_every_pose_is_what_the_stage_makes_of_the_tracker_s(
    tree: Path, plain: Results, folder: Path
) -> None:
    spec = importlib.util.spec_from_file_location("steady", tree / STAGE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stage, about = module.SteadyStage(), plain.metadata
    task = Task("t", about.width, about.height, RATE)
    for frame, written in zip(plain, open_results(folder), strict=True):
        made, person = walker(stage.process(Item(task, frame))), walker(written)
        assert (made is None) == (person is None)
        if made and person:
            assert np.allclose(np.array(made.keypoints), np.array(person.keypoints), atol=0.01)


def test_a_service_carries_it(tree: Path) -> None:
    program = (
        "from video_analysis.pipeline import graphs\n"
        "from video_analysis.services import SERVICES\n"
        "carried = [stage for each in SERVICES.values() for stage in each.stages]\n"
        "assert 'steady' in carried\n"
        "assert {node.stage for each in graphs() for node in each.nodes} == set(carried)\n"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_its_tests_pass(tree: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit"]
    ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout
