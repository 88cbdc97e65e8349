"""Videos with annotated tracks through the whole chain: people are found and stay who they are.

The floors lie five points or more below the MOTA and IDF1 measured (65.5 and 58.1; 75.8 and 79.0),
so they catch a broken chain and not the rounding of another CPU. `bench.tracking` has the scores.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import end_to_end, mot
from tests.e2e.cli import contanos


def opening(name: str, frames: int, folder: Path) -> mot.Sequence:
    """The sequence cut to its first frames."""
    seq = mot.sequence(name)
    truth = mot.read_mot(seq.ground_truth)
    cut = folder / "gt.txt"
    mot.write_mot(cut, truth[truth[:, mot.FRAME] <= frames])
    return replace(seq, frames=frames, ground_truth=cut)


def scores(video: Path, name: str, frames: int, folder: Path) -> mot.Scores:
    out = folder / "out"
    ran = contanos("run", video, "--out", out, "--no-video", "--max-frames", str(frames))
    assert ran.returncode == 0, ran.stderr
    return mot.score(end_to_end.read(out).tracks, opening(name, frames, folder))


def test_a_short_street_scene(data: Path, tmp_path: Path) -> None:
    video = data / "mot15" / "TUD-Campus" / "TUD-Campus.mp4"
    found = scores(video, "TUD-Campus", 71, tmp_path)
    assert found.mota >= 59
    assert found.idf1 >= 52


@pytest.mark.usefixtures("data")
def test_the_opening_of_pets(vtest_video: Path, tmp_path: Path) -> None:
    found = scores(vtest_video, "PETS09-S2L1", 120, tmp_path)
    assert found.mota >= 70
    assert found.idf1 >= 73
