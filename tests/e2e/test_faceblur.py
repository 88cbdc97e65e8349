"""`contanos run --blur`: wherever the person is seen, her head has lost its detail."""

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from tests.e2e.cli import contanos
from video_analysis.results.reader import open_results

FIRST, FRAMES = 25, 50
FACE = slice(0, 5)  # nose, eyes, ears
SURE = 0.5


@pytest.fixture(scope="module", params=["pose_first", "track_first"])
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The sample as it is, and with faces hidden."""
    folder = tmp_path_factory.mktemp(request.param)
    wanted = ("--first-frame", FIRST, "--max-frames", FRAMES, "--graph", request.param)
    for name, blur in (("plain", ()), ("blurred", ("--blur",))):
        ran = contanos("run", "demo", "--out", folder / name, *wanted, *blur)
        assert ran.returncode == 0, ran.stderr
    return folder / "plain", folder / "blurred"


def test_nothing_but_the_pictures_differs(runs: tuple[Path, Path]) -> None:
    plain, blurred = (json.loads((each / "summary.json").read_bytes()) for each in runs)
    assert plain["proof"]["blurred"] is None
    assert plain["proof"] | {"blurred": FRAMES} == blurred["proof"]
    assert blurred["proof"]["complete"] is True
    assert "faceblur" not in plain["stage_seconds"]
    for one, other in zip(*map(open_results, runs), strict=True):
        assert other.stage == "faceblur"
        assert other.detections == one.detections


def test_her_head_has_lost_its_detail_in_every_frame(
    runs: tuple[Path, Path], demo_video: Path
) -> None:
    plain, blurred = runs
    source, before, after = (
        luma(demo_video, FIRST),
        luma(plain / "annotated.mp4"),
        luma(blurred / "annotated.mp4"),
    )
    seen = 0
    for index, frame in enumerate(open_results(plain)):
        for person in frame.detections:
            if person.track_id is None or person.keypoints is None:
                continue
            sure = [each for each in person.keypoints[FACE] if each[2] >= SURE]
            if len(sure) < 3:
                continue
            seen += 1
            head = circle(before[index].shape, np.array(sure)[:, :2], person.bbox)
            head &= ~drawn(source[index], before[index])
            assert head.sum() > 200
            assert detail(after[index], head) < 0.2 * detail(before[index], head), frame.frame_id
    assert seen > FRAMES // 2


def test_where_nobody_s_head_is_the_picture_is_as_it_was(runs: tuple[Path, Path]) -> None:
    before, after = (luma(each / "annotated.mp4") for each in runs)
    for old, new in zip(before, after, strict=True):
        lower = np.s_[old.shape[0] // 2 :]
        assert np.abs(new[lower] - old[lower]).mean() < 3


def luma(path: Path, first: int = 0) -> list[np.ndarray]:
    with VideoSource(path) as video:
        frames = itertools.islice(video, first, first + FRAMES)
        return [each.y.astype(float) for each in frames if isinstance(each, Frame)]


def circle(shape: tuple[int, ...], face: np.ndarray, bbox: tuple[float, ...]) -> np.ndarray:
    """Which pixels lie around a face's keypoints, as far as a head reaches; bool [H, W]."""
    x, y = face.mean(axis=0)
    radius = max(np.linalg.norm(face - (x, y), axis=1).max(), 0.06 * (bbox[3] - bbox[1]))
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 < radius**2)


def drawn(source: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """Which pixels are drawn upon, or lie so near that a limb's edge reaches them; bool [H, W]."""
    strokes = (np.abs(source - annotated) > 25).astype(np.uint8)
    return np.asarray(cv2.dilate(strokes, np.ones((9, 9), np.uint8)), bool)


def detail(picture: np.ndarray, inside: np.ndarray) -> float:
    """Energy of the gradient."""
    down, across = np.gradient(picture)
    return float((down**2 + across**2)[inside].mean())
