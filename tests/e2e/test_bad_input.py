"""What cannot be used is refused in a sentence, with status 2, and nothing is left behind."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from contanos.testing import videos
from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from tests.e2e.cli import contanos
from video_analysis.results.reader import open_results

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Runs the command line and gives back its one line of complaint."""

    def run(video: str | Path, *options: str, **environment: str) -> str:
        out = tmp_path / "nested" / "out"
        ran = contanos("run", video, "--out", out, *options, **environment)
        assert ran.returncode == 2, ran
        assert "Traceback" not in ran.stderr
        assert not (tmp_path / "nested").exists()
        return ran.stderr

    return run


def test_a_missing_path(refused: Refused, tmp_path: Path) -> None:
    assert "missing.mp4" in refused(tmp_path / "missing.mp4")


def test_a_directory(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "folder" in refused(tmp_path / "folder")


def test_an_empty_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "empty" in refused(tmp_path / "empty.mp4")


def test_a_text_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("this is no video\n" * 100)
    assert "notes.mp4" in refused(tmp_path / "notes.mp4")


def test_a_stream(refused: Refused) -> None:
    assert "cannot be read yet" in refused("rtsp://127.0.0.1/camera")


def test_an_unknown_model(refused: Refused, demo_video: Path) -> None:
    assert "yolox-tiny-humanart" in refused(demo_video, "--detector", "nonesuch")


def test_a_model_of_the_wrong_kind(refused: Refused, demo_video: Path) -> None:
    assert "rtmpose" in refused(demo_video, "--detector", "rtmpose-s-halpe26")


def test_a_model_with_other_bytes(
    refused: Refused, demo_video: Path, yolox_tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / yolox_tiny.name).write_bytes(b"not the pinned model")
    assert "sha256" in refused(demo_video, CONTANOS_MODEL_DIR=str(folder))


def test_a_setting_outside_its_range(refused: Refused, demo_video: Path) -> None:
    assert "workers" in refused(demo_video, CONTANOS_WORKERS="0").lower()


def test_an_output_folder_that_cannot_be_made(demo_video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = contanos("run", demo_video, "--out", tmp_path / "file" / "out")
    assert ran.returncode == 2
    assert "choose another --out" in ran.stderr


def test_an_output_that_would_replace_the_input(tmp_path: Path) -> None:
    video = videos.make_video(tmp_path / "annotated.mp4", 5)
    before = video.read_bytes()
    ran = contanos("run", video, "--out", tmp_path)
    assert ran.returncode == 2
    assert "would be replaced" in ran.stderr
    assert video.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["annotated.mp4"]


def test_results_of_two_runs_are_never_mixed(tmp_path: Path) -> None:
    video = videos.make_video(tmp_path / "video.mp4", 5)
    out = tmp_path / "out"
    assert contanos("run", video, "--out", out).returncode == 0
    assert (out / "annotated.mp4").exists()
    assert contanos("run", video, "--out", out, "--no-video").returncode == 0
    assert {each.name for each in out.iterdir()} == {"results.parquet", "summary.json"}


@pytest.fixture
def full_disk(tmp_path: Path) -> Path:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("this machine does not let the test mount a small disk")
    return folder


def test_a_full_disk(full_disk: Path, demo_video: Path) -> None:
    try:
        ran = contanos("run", demo_video, "--out", full_disk / "out", "--max-frames", "120")
        assert ran.returncode == 2, ran
        assert "full" in ran.stderr or "space" in ran.stderr
        assert not (full_disk / "out").exists()
    finally:
        subprocess.run(["umount", str(full_disk)], check=True)


def test_sound_without_pictures(refused: Refused, tmp_path: Path) -> None:
    assert "audio" in refused(videos.make_audio(tmp_path / "song.m4a")).lower()


def test_a_header_that_claims_an_absurd_size(refused: Refused, tmp_path: Path) -> None:
    video = videos.make_video(tmp_path / "video.avi", 5, codec="ffv1")
    big = videos.patch_avi(video, tmp_path / "big.avi", size=(100_000, 100_000))
    assert "claims" in refused(big)


def test_a_header_that_claims_ten_million_frames(refused: Refused, tmp_path: Path) -> None:
    video = videos.make_video(tmp_path / "video.avi", 5, codec="mjpeg", pix_fmt="yuvj420p")
    long = videos.patch_avi(video, tmp_path / "long.avi", frames=10_000_000)
    assert "10000000" in refused(long)


def test_a_cut_video_gives_what_is_readable_and_says_so(tmp_path: Path) -> None:
    whole = videos.make_video(tmp_path / "whole.mkv", 60, size=(320, 240))
    cut = videos.truncate(whole, tmp_path / "cut.mkv", keep=0.6)
    ran = contanos("run", cut, "--out", tmp_path / "out")
    assert ran.returncode == 2, ran
    assert "TRUNCATED" in ran.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert summary["source"]["truncated"]
    assert summary["proof"]["complete"] is False
    frames = summary["proof"]["annotated"]
    assert 0 < frames < 60
    assert summary["proof"]["read"] == frames
    with VideoSource(tmp_path / "out" / "annotated.mp4") as made:
        assert len(list(made)) == frames


def test_a_frame_that_cannot_be_decoded_is_reported_and_kept_in_place(tmp_path: Path) -> None:
    whole = videos.make_video(tmp_path / "whole.avi", 12, codec="mjpeg", pix_fmt="yuvj420p")
    bad = videos.corrupt(whole, tmp_path / "bad.avi", packets=[5])
    ran = contanos("run", bad, "--out", tmp_path / "out")
    assert ran.returncode == 2, ran
    proof = json.loads((tmp_path / "out" / "summary.json").read_bytes())["proof"]
    assert (proof["read"], proof["annotated"], proof["failed"]) == (12, 12, 1)
    assert list(open_results(tmp_path / "out").failed) == [5]
    with VideoSource(tmp_path / "out" / "annotated.mp4") as made:
        shown = [videos.read_number(each.y) for each in made if isinstance(each, Frame)]
    assert shown == [0, 1, 2, 3, 4, 4, 6, 7, 8, 9, 10, 11]
