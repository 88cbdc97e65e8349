"""Frames a second of `contanos run` beside rtmlib and beside the floor of this machine.

    python -m bench.speed [VIDEO ...] [--runs 3] [--max-frames N]

Every run is a process of its own; systems take turns, so that a machine whose speed drifts is fair
to all. Quoted are medians, and the medians of the ratios run by run. rtmlib is what a user would
write with it: PoseTracker with the same two models, detection on every frame, its own drawing,
libx264 at our preset.

The floor is what cannot be left out: the two networks on the same frames and people, on the runtime
and precision that `auto` chose, plus decoding and encoding, with all cores busy all the time. It
does not count resizing, drawing, tracking, writing data or moving anything.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from contanos.models.fetch import fetch
from video_analysis.models import manifest

DEFAULT_VIDEOS = ("demo", "vtest")
Measured = dict[str, Any]


def main() -> None:
    """Print one table a video."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", nargs="*", default=DEFAULT_VIDEOS, help="files or sample names")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--max-frames", type=int, default=100_000)
    arguments = parser.parse_args()
    for video in arguments.videos:
        path = fetch(manifest()[video]) if video in manifest().assets else Path(video)
        report(path, measure(path, arguments.runs, arguments.max_frames))


def measure(video: Path, runs: int, frames: int) -> dict[str, list[Measured]]:
    """Each system's runs, in turn."""
    systems = ("ours", "rtmlib onnxruntime", "rtmlib openvino", "floor")
    found: dict[str, list[Measured]] = {system: [] for system in systems}
    for _ in range(runs):
        for system in systems:
            people = found["ours"][-1]["people"] if found["ours"] else 0.0
            found[system].append(_run(system, video, frames, people))
    return found


def report(video: Path, found: dict[str, list[Measured]]) -> None:
    """The table of one video."""
    ours = found["ours"]
    print(f"\n{video.name}: {ours[0]['frames']} frames, runs {len(ours)}, medians")
    print(f"{'':22}{'fps':>8}{'ours / it':>12}{'people a frame':>16}")
    for system, runs in found.items():
        fps = statistics.median(run["fps"] for run in runs)
        pairs = zip(ours, runs, strict=True)
        ratio = statistics.median(mine["fps"] / its["fps"] for mine, its in pairs)
        people = statistics.median(run["people"] for run in runs)
        print(f"{system:22}{fps:8.2f}{ratio:12.2f}{people:16.2f}")
    print("  ours, busy ms a frame (stages overlap):")
    for stage in ours[0]["stages"]:
        spent = statistics.median(1000 * run["stages"][stage] / run["frames"] for run in ours)
        print(f"    {stage:12}{spent:8.2f}")
    print("  floor, CPU ms a frame:")
    for part in found["floor"][0]["parts"]:
        spent = statistics.median(run["parts"][part] for run in found["floor"])
        print(f"    {part:12}{spent:8.2f}")
    print(f"  models: {', '.join(ours[0]['models'])}")


def _run(system: str, video: Path, frames: int, people: float) -> Measured:
    if system == "ours":
        return _ours(video, frames)
    module, last = "bench.floor", str(people)
    if system.startswith("rtmlib"):
        module, last = "bench.peer_rtmlib", system.split()[1]
    command = [sys.executable, "-m", module, str(video), str(frames), last]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: Measured = json.loads(answer.stdout.splitlines()[-1])
    return measured


def _ours(video: Path, frames: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "video_analysis", "run", str(video), "--out", folder]
        command += ["--max-frames", str(frames)]
        subprocess.run(command, check=True, capture_output=True)
        summary = json.loads(Path(folder, "summary.json").read_bytes())
    posed = summary["people"]["posed"] / summary["proof"]["annotated"]
    return {
        "fps": summary["fps"],
        "frames": summary["proof"]["annotated"],
        "people": posed,
        "stages": summary["stage_seconds"],
        "models": [f"{m['name']} {m['runtime']} {m['precision']}" for m in summary["models"]],
    }


if __name__ == "__main__":
    main()
