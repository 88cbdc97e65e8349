"""`docs/add-a-stage.md` as written: its files, its line, its run, and no face in the video."""

import importlib.util
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from contanos.messages import FrameResult
from contanos.stage.contract import Item, Task
from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from tests.conftest import ROOT
from tests.e2e.cli import COMMAND, contanos
from video_analysis.results.reader import open_results

DOCUMENT = (ROOT / "docs" / "add-a-stage.md").read_text()
FRAMES = 20


def file_named(path: str) -> str:
    """The block that the document shows as the file at `path`."""
    found = re.findall(rf"^`{re.escape(path)}`:\n\n```python\n(.*?)^```$", DOCUMENT, re.M | re.S)
    assert len(found) == 1
    return str(found[0])


def changed(text: str) -> str:
    """`text` with the document's changes applied."""
    for change in re.findall(r"^```diff\n(.*?)^```$", DOCUMENT, re.M | re.S):
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
    for path in ("video_analysis/faceblur.py", "tests/unit/test_faceblur.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(file_named(path))
    pipeline = root / "video_analysis" / "pipeline.py"
    pipeline.write_text(changed(pipeline.read_text()))
    return root


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "out"
    ran = contanos("run", "demo", "--out", folder, "--max-frames", FRAMES)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def blurred(tree: Path) -> Path:
    command = [*COMMAND, "run", "demo", "--out", "out", "--max-frames", str(FRAMES)]
    ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return tree / "out"


def luma(path: Path) -> list[np.ndarray]:
    with VideoSource(path) as video:
        frames = itertools.islice(video, FRAMES)
        return [each.y.astype(float) for each in frames if isinstance(each, Frame)]


@pytest.fixture(scope="module")
def hidden(tree: Path, plain: Path) -> list[list[list[float]]]:
    """`hide` of each frame: what the document's stage says of the stored result."""
    spec = importlib.util.spec_from_file_location("faceblur", tree / "video_analysis/faceblur.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stage, results = module.FaceBlurStage(), open_results(plain)
    task = Task("t", results.metadata.width, results.metadata.height, rate=60.0)
    answers: list[FrameResult] = [stage.process(Item(task, result)) for result in results]
    return [answer.extra["hide"] for answer in answers]


def test_the_run_is_complete_and_its_data_the_same(plain: Path, blurred: Path) -> None:
    summary = json.loads((blurred / "summary.json").read_bytes())
    assert summary["proof"]["complete"] is True
    assert summary["proof"]["annotated"] == FRAMES
    assert "faceblur" in summary["stage_seconds"]
    assert list(open_results(blurred))[-1].stage == "faceblur"
    for one, other in zip(open_results(plain), open_results(blurred), strict=True):
        assert one.detections == other.detections


def test_faces_are_gone_and_the_rest_is_as_before(
    plain: Path, blurred: Path, demo_video: Path, hidden: list[list[list[float]]]
) -> None:
    before, after = luma(plain / "annotated.mp4"), luma(blurred / "annotated.mp4")
    assert len(before) == len(after) == len(hidden) == FRAMES
    for source, old, new, regions in zip(luma(demo_video), before, after, hidden, strict=True):
        face = ellipses(old.shape, regions, 0.95) & ~drawn(source, old)
        assert face.sum() > 1000
        assert detail(new, face) < 0.25 * detail(old, face)
        beyond = ~ellipses(old.shape, regions, 1.4)
        assert np.abs(new - old)[beyond].mean() < 1.5


def test_the_skeleton_is_still_drawn(
    plain: Path, blurred: Path, hidden: list[list[list[float]]]
) -> None:
    """Over the blur, where nothing but a limb on its dark rim has any contrast, as elsewhere."""
    last = list(open_results(blurred))[-1]
    (person,) = [each for each in last.detections if each.track_id]
    assert person.keypoints is not None
    old, new = (luma(each / "annotated.mp4")[-1] for each in (plain, blurred))
    blur = ellipses(new.shape, hidden[-1], 1.0)
    for index, in_face in ((17, True), (19, False)):  # top of the head, hip
        x, y, _ = person.keypoints[index]
        spot = np.s_[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9]
        assert blur[spot].all() == in_face
        assert np.ptp(new[spot]) > 80
        assert in_face or np.abs(old - new)[spot].mean() < 12


def test_its_tests_pass(tree: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit"]
    ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def ellipses(shape: tuple[int, ...], regions: list[list[float]], scale: float) -> np.ndarray:
    """Which pixels lie in the ellipses inscribed in `regions`, scaled; bool [H, W]."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for x1, y1, x2, y2 in regions:
        across = (columns + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
        down = (rows + 0.5 - (y1 + y2) / 2) / ((y2 - y1) / 2)
        inside |= across**2 + down**2 < scale**2
    return inside


def drawn(source: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """Which pixels are drawn upon, or lie so near that a limb's edge reaches them; bool [H, W]."""
    strokes = (np.abs(source - annotated) > 25).astype(np.uint8)
    return np.asarray(cv2.dilate(strokes, np.ones((9, 9), np.uint8)), bool)


def detail(picture: np.ndarray, inside: np.ndarray) -> float:
    """Energy of the gradient."""
    down, across = np.gradient(picture)
    return float((down**2 + across**2)[inside].mean())
