"""`contanos run` on the two videos of the test data that have tracks annotated."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import mot
from contanos.errors import InputError
from contanos.models.fetch import fetch
from video_analysis.models import manifest
from video_analysis.results.export import export
from video_analysis.results.reader import Results, open_results

NAMES = ("PETS09-S2L1", "TUD-Campus")

PRECISIONS = {"f32": ("--runtime", "onnxruntime", "--precision", "f32"), "auto": ()}

# On boxes of the same detector in f32, not measured here: the brief of this project.
ELSEWHERE = ("the authors' rules", "trackers 2.6.1", "supervision 0.26.1")
MEASURED_ELSEWHERE = {
    "PETS09-S2L1": (
        mot.Scores(62.6, 81.9, 84.2),
        mot.Scores(63.5, 82.2, 87.3),
        mot.Scores(61.8, 82.2, 84.3),
    ),
    "TUD-Campus": (
        mot.Scores(49.9, 64.3, 65.6),
        mot.Scores(43.1, 58.5, 56.1),
        mot.Scores(48.8, 62.7, 64.2),
    ),
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run found.

    Attributes:
        tracks: as exported.
        boxes: every stored detection, of whatever score.
        models: name, runtime and precision of each.
    """

    tracks: mot.MotRows
    boxes: mot.MotRows
    models: str


def video(name: str) -> Path:
    """The video of a sequence.

    Raises:
        InputError: there is none, or not on this machine.
        ModelUnavailable: it cannot be fetched.
    """
    if name == "PETS09-S2L1":
        return fetch(manifest()["vtest"])  # frame for frame the sequence
    path = mot.data_folder() / "mot15" / name / f"{name}.mp4"
    if path.is_file():
        return path
    raise InputError(f"no video of {name}; those that can be run: {', '.join(NAMES)}")


def finish(source: Path, folder: Path, *options: str) -> Finished:
    """Run `contanos run` on a video, into `folder`.

    Raises:
        InputError: it failed; the message is its own.
    """
    command = [sys.executable, "-m", "video_analysis", "run", str(source), "--out", str(folder)]
    ran = subprocess.run(
        [*command, "--no-video", *options], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise InputError(f"contanos run {source} failed: {ran.stderr}")
    return read(folder)


def read(folder: Path) -> Finished:
    """What `contanos run` left in `folder`."""
    results = open_results(folder)
    tracks = mot.read_mot(export(results, "mot", folder))
    boxes = np.array(list(_boxes(results)), np.float64).reshape(-1, 7)
    used = [f"{each.name} {each.runtime} {each.precision}" for each in results.metadata.models]
    return Finished(tracks, boxes, ", ".join(used))


def _boxes(results: Results) -> Iterator[tuple[float, ...]]:
    for frame in results:
        for detection in frame.detections:
            x1, y1, x2, y2 = detection.bbox
            yield frame.frame_id + 1, -1, x1, y1, x2 - x1, y2 - y1, detection.score
