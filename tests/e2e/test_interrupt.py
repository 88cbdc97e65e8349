"""Ctrl-C at any moment: what is there is whole, what is not whole is not there."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contanos.video.segments import finished_segments
from contanos.video.source import VideoSource
from tests.e2e.cli import COMMAND
from video_analysis.results.reader import open_results


def start(video: Path, out: Path) -> subprocess.Popen[str]:
    arguments = [*COMMAND, "run", str(video), "--out", str(out)]
    return subprocess.Popen(
        arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )


def check(out: Path) -> None:
    """Every output that carries its final name is valid, and nothing else lies around."""
    names = {each.name for each in out.iterdir()} if out.exists() else set()
    assert names <= {"annotated.mp4", "results.parquet", "summary.json"}
    if "summary.json" in names:
        summary = json.loads((out / "summary.json").read_bytes())
        # A signal may come when the last frame has been read already.
        assert summary["proof"]["complete"] is (summary["reason"] == "completed")
        assert summary["reason"] in ("completed", "cancelled")
        frames = summary["proof"]["annotated"]
        assert len(open_results(out)) == frames == summary["proof"]["tracked"]
        if frames:
            with VideoSource(out / "annotated.mp4") as made:
                assert len(list(made)) == frames


@pytest.mark.parametrize("seconds", [0.3, 1.2, 2.5, 4.0])
def test_one_interrupt_leaves_a_whole_partial_result_or_none(
    seconds: float, demo_video: Path, tmp_path: Path
) -> None:
    process = start(demo_video, tmp_path / "out")
    time.sleep(seconds)
    interrupt(process, tmp_path / "out")


@pytest.mark.parametrize("segments", [1, 3])
def test_an_interrupt_amid_the_video_leaves_its_beginning(
    segments: int, demo_video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(demo_video, out)
    wait_for_segments(out, segments)
    interrupt(process, out)
    frames = json.loads((out / "summary.json").read_bytes())["proof"]["annotated"]
    assert 32 * segments <= frames < 230


def interrupt(process: subprocess.Popen[str], out: Path) -> None:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    check(out)


def test_the_second_interrupt_leaves_at_once(demo_video: Path, tmp_path: Path) -> None:
    process = start(demo_video, tmp_path / "out")
    wait_for_segments(tmp_path / "out", 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    interrupt(process, tmp_path / "out")


def test_two_runs_do_not_share_a_folder(demo_video: Path, tmp_path: Path) -> None:
    first = start(demo_video, tmp_path / "out")
    wait_for((tmp_path / "out" / ".contanos").exists)
    second = start(demo_video, tmp_path / "out")
    _, complaint = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another run is writing" in complaint
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    check(tmp_path / "out")


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_segments(out: Path, count: int) -> None:
    """Until so much of the annotated video is on the disk: 32 frames each, of 230."""
    wait_for(lambda: len(finished_segments(out / ".contanos" / "segments")) >= count)


def test_a_killed_run_can_be_run_again(demo_video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(demo_video, out)
    wait_for_segments(out, 2)
    process.kill()
    process.communicate(timeout=20)
    assert not {each.name for each in out.iterdir()} & {"annotated.mp4", "results.parquet"}
    again = [*COMMAND, "run", str(demo_video), "--out", str(out), "--max-frames", "10"]
    subprocess.run(again, check=True, capture_output=True)
    names = {each.name for each in out.iterdir()}
    assert names == {"annotated.mp4", "results.parquet", "summary.json"}
