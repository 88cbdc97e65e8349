"""The sample video through the whole chain, read back and looked at."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from pycocotools.coco import COCO

from contanos.messages import FrameResult, decode
from contanos.video.frame import Frame
from contanos.video.source import VideoSource
from tests.e2e.cli import contanos
from video_analysis.results.reader import Results, open_results

FRAMES = 230


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    return folder, contanos("run", "demo", "--out", folder)


@pytest.fixture(scope="module")
def folder(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    assert ran[1].returncode == 0, ran[1].stderr
    return ran[0]


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return open_results(folder)


def test_the_outputs_are_there_and_nothing_else(folder: Path) -> None:
    names = {each.name for each in folder.iterdir()}
    assert names == {"annotated.mp4", "results.parquet", "summary.json"}


def test_it_prints_progress_and_a_summary(
    ran: tuple[Path, subprocess.CompletedProcess[str]], folder: Path
) -> None:
    assert f"{FRAMES}/{FRAMES}" in ran[1].stderr
    assert "fps" in ran[1].stderr
    assert f"{FRAMES} frames in, {FRAMES} frames out" in ran[1].stdout


def test_the_proof_holds(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_bytes())
    proof = summary["proof"]
    stages = ("read", "published", "detected", "posed", "tracked", "annotated")
    assert {proof[stage] for stage in stages} == {FRAMES}
    assert proof["dropped"] == proof["failed"] == 0
    assert proof["complete"] is True
    assert {model["name"] for model in summary["models"]} == {
        "yolox-tiny-humanart",
        "rtmpose-s-halpe26",
    }
    assert all(len(model["sha256"]) == 64 and model["why"] for model in summary["models"])


def test_every_frame_is_in_the_data(results: Results, demo_video: Path) -> None:
    with VideoSource(demo_video) as source:
        expected = [(each.frame_id, each.pts) for each in source]
    assert [(each.frame_id, each.pts) for each in results] == expected


def test_the_walker_has_a_skeleton_in_every_frame_where_she_is_seen(results: Results) -> None:
    """She crosses the whole picture; her box and keypoints belong together."""
    frames = [main_person(each) for each in results]
    seen = [each for each in frames if each is not None]
    assert len(seen) >= FRAMES - 12
    belonging = []
    for bbox, keypoints in seen:
        assert len(keypoints) == 26
        sure = keypoints[keypoints[:, 2] > 0.5]
        margin = 0.1 * (bbox[2:] - bbox[:2])
        inside = (sure[:, :2] > bbox[:2] - margin) & (sure[:, :2] < bbox[2:] + margin)
        belonging.append(inside.all(axis=1).mean())
    assert np.mean(belonging) > 0.95
    assert min(belonging) > 0.5
    assert np.mean([(keypoints[:17, 2] > 0.4).mean() for _, keypoints in seen]) > 0.8


def main_person(frame: FrameResult) -> tuple[np.ndarray, np.ndarray] | None:
    tracked = [each for each in frame.detections if each.track_id and each.keypoints]
    if not tracked:
        return None
    largest = max(tracked, key=lambda each: each.bbox[3] - each.bbox[1])
    return np.array(largest.bbox), np.array(largest.keypoints)


def test_the_video_plays_everywhere_and_keeps_its_time(folder: Path, demo_video: Path) -> None:
    with av.open(str(folder / "annotated.mp4")) as made, VideoSource(demo_video) as source:
        video = made.streams.video[0]
        assert video.codec_context.name == "h264"
        assert video.codec_context.pix_fmt == "yuv420p"
        assert (video.width, video.height) == (source.width, source.height)
        times = [frame.pts * frame.time_base for frame in made.decode(video)]
        expected = [each.pts * each.time_base for each in source]
    assert [each - times[0] for each in times] == [each - expected[0] for each in expected]
    head = (folder / "annotated.mp4").read_bytes()
    assert 0 < head.find(b"moov") < head.find(b"mdat")


def test_the_sound_is_the_sources(folder: Path, demo_video: Path) -> None:
    def sound(path: Path) -> tuple[str, list[bytes]]:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            packets = [bytes(each) for each in container.demux(stream) if each.size]
            return stream.codec_context.name, packets

    codec, packets = sound(folder / "annotated.mp4")
    original_codec, original = sound(demo_video)
    assert codec == original_codec == "aac"
    assert packets == original[: len(packets)]
    assert len(packets) >= len(original) - 2


def test_only_people_are_drawn_upon(folder: Path, demo_video: Path, results: Results) -> None:
    """Beside the people the picture is the source's, up to the encoder; on them it is not."""
    people = list(results)
    with VideoSource(demo_video) as before, VideoSource(folder / "annotated.mp4") as after:
        for source, made in zip(before, after, strict=True):
            assert isinstance(source, Frame)
            assert isinstance(made, Frame)
            if source.frame_id not in (0, 60, 115, 180, FRAMES - 1):
                continue
            change = np.abs(source.y.astype(int) - made.y)
            mask = np.zeros(change.shape, bool)
            for each in people[source.frame_id].detections:
                if each.track_id:
                    x1, y1, x2, y2 = (int(side) for side in each.bbox)
                    mask[max(0, y1 - 60) : y2 + 40, max(0, x1 - 120) : x2 + 160] = True
            assert change[~mask].mean() < 3
            if mask.any():
                assert np.percentile(change[mask], 98) > 40


def test_exports(folder: Path, results: Results, tmp_path: Path) -> None:
    for name in ("coco", "mot", "csv", "jsonl"):
        ran = contanos("export", folder, "--format", name, "--out", tmp_path / name)
        assert ran.returncode == 0, ran.stderr
    rows = sum(len(frame.detections) for frame in results)
    assert len((tmp_path / "csv").read_text().splitlines()) == rows + 1
    lines = (tmp_path / "jsonl").read_bytes().splitlines()
    assert [decode(line).frame_id for line in lines] == list(range(FRAMES))  # type: ignore[union-attr]
    tracked = [each for frame in results for each in frame.detections if each.track_id]
    assert len((tmp_path / "mot").read_text().splitlines()) == len(tracked)
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in range(FRAMES)],
        "categories": [{"id": 1}],
        "annotations": [],
    }
    truth.createIndex()
    loaded = truth.loadRes(str(tmp_path / "coco"))
    assert len(loaded.anns) == sum(
        each.keypoints is not None for frame in results for each in frame.detections
    )


def test_seconds_are_those_of_the_source(results: Results) -> None:
    base = Fraction(*results.metadata.time_base)
    frames = list(results)
    assert frames[-1].seconds == pytest.approx(float(frames[-1].pts * base))
