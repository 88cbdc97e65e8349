"""`contanos run --first-frame N --max-frames K`: what a whole run says of these frames."""

import csv
import json
from fractions import Fraction
from pathlib import Path

import av
import pytest

from contanos.messages import Detection
from contanos.testing.videos import make_video, read_number
from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from tests.e2e.cli import contanos
from video_analysis.results.reader import open_results

WHOLE = 60


def run(video: str | Path, out: Path, *options: str | int) -> Path:
    ran = contanos("run", video, "--out", out, *map(str, options))
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    return run("demo", folder, "--max-frames", WHOLE, "--no-video")


def seen(detection: Detection) -> object:
    """What detector and pose model say, without the tracker, which remembers other frames."""
    return detection.bbox, detection.score, detection.keypoints


@pytest.mark.parametrize(("first", "count"), [(0, 5), (17, 1), (31, 12), (50, None)])
def test_a_range_holds_what_the_whole_does(
    first: int, count: int | None, whole: Path, demo_video: Path, tmp_path: Path
) -> None:
    options = ["--first-frame", first, "--max-frames", count or WHOLE - first]
    folder = run("demo", tmp_path / "out", *options)
    expected = list(open_results(whole))[first:][: count or WHOLE]
    found = list(open_results(folder))
    assert [each.frame_id for each in found] == [each.frame_id for each in expected]
    assert [each.pts for each in found] == [each.pts for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert list(map(seen, one.detections)) == list(map(seen, other.detections))
    assert any(each.detections for each in found)
    proof = json.loads((folder / "summary.json").read_bytes())["proof"]
    counts = ("read", "published", "detected", "posed", "tracked", "annotated")
    assert {proof[each] for each in counts} == {len(expected)}
    assert proof["complete"] is True


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video of 40 numbered frames with sound, and frames 13 to 39 of it."""
    folder = tmp_path_factory.mktemp("numbered")
    video = make_video(
        folder / "video.mp4", 40, size=(320, 240), audio="aac", options={"g": "12", "bf": "2"}
    )
    return video, run(video, folder / "out", "--first-frame", 13)


def test_it_goes_to_the_end_and_the_video_begins_at_0(numbered: tuple[Path, Path]) -> None:
    with VideoSource(numbered[1] / "annotated.mp4") as made:
        frames = [each for each in made if isinstance(each, Frame)]
    assert [read_number(each.y) for each in frames] == list(range(13, 40))
    assert [each.pts * each.time_base for each in frames] == [Fraction(i, 25) for i in range(27)]


def test_the_sound_is_that_of_the_range(numbered: tuple[Path, Path]) -> None:
    with av.open(str(numbered[1] / "annotated.mp4")) as made:
        (stream,) = made.streams.audio
        packets = [packet for packet in made.demux(stream) if packet.size]
        begins = float((packets[0].pts or 0) * packets[0].time_base)
        ends = sum((each.duration or 0) * each.time_base for each in packets)
    assert 0 <= begins < 0.03
    assert float(ends) == pytest.approx(27 / 25, abs=0.05)


def test_exports_keep_the_numbers(tmp_path: Path) -> None:
    folder = run("demo", tmp_path / "out", "--first-frame", 40, "--max-frames", 6, "--no-video")
    for name in ("coco", "mot", "csv", "jsonl"):
        assert contanos("export", folder, "--format", name).returncode == 0
    frames = set(range(40, 46))
    coco = json.loads((folder / "coco.json").read_bytes())
    assert {each["image_id"] for each in coco} == frames
    mot = (folder / "mot.txt").read_text().splitlines()
    assert {int(line.split(",")[0]) - 1 for line in mot} <= frames
    assert len(mot) > 3
    with (folder / "results.csv").open(newline="") as file:
        assert {int(row["frame_id"]) for row in csv.DictReader(file)} == frames
    lines = (folder / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame_id"] for line in lines] == sorted(frames)


@pytest.mark.parametrize("first", [40, 41, 10_000])
def test_a_range_beyond_the_end_is_refused_and_leaves_nothing(first: int, tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 40)
    out = tmp_path / "nested" / "out"
    ran = contanos("run", video, "--out", out, "--first-frame", str(first))
    assert ran.returncode == 2, ran
    assert f"video.mp4 has 40 frames: none from {first} on" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "nested").exists()


def test_the_last_frame_alone(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 40)
    folder = run(video, tmp_path / "out", "--first-frame", 39)
    assert [each.frame_id for each in open_results(folder)] == [39]
    with VideoSource(folder / "annotated.mp4") as made:
        assert [read_number(each.y) for each in made if isinstance(each, Frame)] == [39]
