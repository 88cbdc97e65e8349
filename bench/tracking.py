"""How well people keep their identity: our ByteTrack, the authors' scores and the best peer's.

    python -m bench.tracking                          both tables below
    python -m bench.tracking SEQUENCE ...             only these, on their public detections
    python -m bench.tracking TUD-Campus --boxes FILE  the same on any MOTChallenge detections
    python -m bench.tracking PETS09-S2L1 --end-to-end BOXES TRACKS
                                                      tracks that `contanos export` wrote
    python -m bench.tracking --run [SEQUENCE ...]     `contanos run` on the videos, end to end

Every cell is HOTA / MOTA / IDF1 by TrackEval. `ours` reports the filter's boxes, as the authors
do; `ours, detections` the detector's own boxes under the same identities; both are one run with
the default settings and the sequence's frame rate. `trackers` is Roboflow's package at its
defaults. Every tracker is given the same detections: those that score 0.1 or more, because
below that ByteTrack has no use for them.

End to end, `ours` is what `contanos run` and `contanos export` wrote, and `trackers` follows every
box that it stored. vtest.avi plays at 10 frames a second what the sequence says was 7.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import end_to_end, mot
from contanos.errors import InputError, ModelUnavailable
from video_analysis.bytetrack.settings import TrackerSettings
from video_analysis.bytetrack.tracker import Tracker

# The ByteTrack authors' code on the same detections, from the test data's README.
REFERENCE = {
    "MOT17-02": mot.Scores(48.2, 55.7, 59.6),
    "MOT17-05": mot.Scores(61.7, 76.7, 76.9),
    "MOT17-09": mot.Scores(65.4, 82.8, 77.8),
    "PETS09-S2L1": mot.Scores(38.4, 63.0, 48.6),
    "TUD-Campus": mot.Scores(51.4, 61.3, 71.3),
    "ETH-Sunnyday": mot.Scores(55.7, 56.9, 74.9),
    "ADL-Rundle-8": mot.Scores(28.5, 27.7, 36.8),
    "KITTI-17": mot.Scores(47.2, 56.2, 72.0),
}
LOWEST_SCORE = TrackerSettings().low
COLUMNS = ("sequence", "reference", "ours", "ours, detections", "trackers", "ms a frame", "peer's")
RUNS = ("sequence", "precision", "ours", "trackers, same boxes", "models")
END_TO_END = ("sequence", "the pipeline's", "ours", "ours, detections", "trackers")

Boxes = NDArray[np.float64]
# From a frame's boxes and scores: the ids (below 1: none), and the boxes to report with them.
Follow = Callable[[Boxes, NDArray[np.float64]], tuple[NDArray[np.int64], Boxes]]


@dataclass(frozen=True, slots=True)
class Run:
    """The tracks of one sequence and the time that the tracker took, per frame."""

    tracks: mot.MotRows
    milliseconds: float


def ours(frame_rate: float, smooth: bool = True) -> Follow:
    """Our tracker at its defaults; `smooth` reports the filter's boxes."""
    tracker = Tracker(TrackerSettings(frame_rate=frame_rate))

    def follow(boxes: Boxes, scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], Boxes]:
        ids = tracker.update(boxes, scores)
        return ids, tracker.smoothed(boxes, ids) if smooth else boxes

    return follow


def peer(frame_rate: float = 30.0) -> Follow:
    """ByteTrack of the package `trackers` at its defaults, which count on 30 frames a second."""
    import supervision  # slow to import, and needed by no other column
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(frame_rate=frame_rate)

    def follow(boxes: Boxes, scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], Boxes]:
        seen = supervision.Detections(xyxy=boxes, confidence=scores)
        tracked = tracker.update(seen)
        ids = np.asarray(tracked.tracker_id, np.int64)
        # Ids count from 0 and -1 is none; MOTChallenge counts from 1.
        return ids + 1, np.asarray(tracked.xyxy, np.float64)

    return follow


def run(follow: Follow, detections: mot.MotRows, frames: int) -> Run:
    """Follow people through `frames` frames, those without a detection too."""
    tracks: list[mot.MotRows] = []
    seconds = 0.0
    for frame, rows in _by_frame(detections, frames):
        boxes, scores = mot.xyxy(rows), rows[:, mot.SCORE]
        start = time.perf_counter()
        ids, boxes = follow(boxes, scores)
        seconds += time.perf_counter() - start
        tracks.append(_claimed(frame, ids, boxes))
    return Run(np.concatenate(tracks), 1000 * seconds / frames)


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    options = _parser().parse_args(arguments)
    try:
        if options.end_to_end:
            _print(*_end_to_end(options))
        elif not options.run:
            _print(*_on_detections(options))
        if options.run or not (options.sequences or options.end_to_end):
            _runs(options.sequences or end_to_end.NAMES)
    except InputError as e:
        print(e, file=sys.stderr)
        return 2
    return 0


def _on_detections(options: argparse.Namespace) -> tuple[tuple[str, ...], list[list[str]]]:
    rows = []
    for name in options.sequences or REFERENCE:
        seq = mot.sequence(name)
        boxes = mot.read_mot(options.boxes) if options.boxes else seq.public_detections()
        reference = "" if options.boxes else str(REFERENCE.get(name, ""))
        cells, times = _scored(seq, boxes)
        rows.append([name, reference, *cells, *times])
    return COLUMNS, rows


def _end_to_end(options: argparse.Namespace) -> tuple[tuple[str, ...], list[list[str]]]:
    if len(options.sequences) != 1:
        raise InputError("--end-to-end scores one sequence; name it first")
    seq = mot.sequence(options.sequences[0])
    boxes, tracks = (mot.read_mot(path) for path in options.end_to_end)
    cells, _ = _scored(seq, boxes)
    return END_TO_END, [[seq.name, str(mot.score(tracks, seq)), *cells]]


def _runs(names: Sequence[str]) -> None:
    rows: list[list[str]] = []
    for name in names:
        try:
            rows += _run_and_scored(name)
        except ModelUnavailable as e:
            print(f"{name} is left out: {e}", file=sys.stderr)
    print("\nend to end")
    _print(RUNS, rows)
    print("\nmeasured elsewhere, on boxes of the same detector in f32")
    measured = end_to_end.MEASURED_ELSEWHERE
    columns = ("sequence", *end_to_end.ELSEWHERE)
    _print(columns, [[name, *map(str, measured[name])] for name in names if name in measured])


def _run_and_scored(name: str) -> Iterator[list[str]]:
    seq, video = mot.sequence(name), end_to_end.video(name)
    for precision, options in end_to_end.PRECISIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = end_to_end.finish(video, Path(folder), *options)
        boxes = found.boxes[found.boxes[:, mot.SCORE] >= LOWEST_SCORE]
        other = mot.score(run(peer(), boxes, seq.frames).tracks, seq)
        yield [name, precision, str(mot.score(found.tracks, seq)), str(other), found.models]


def _scored(seq: mot.Sequence, boxes: mot.MotRows) -> tuple[list[str], list[str]]:
    boxes = boxes[boxes[:, mot.SCORE] >= LOWEST_SCORE]
    smoothed = run(ours(seq.frame_rate), boxes, seq.frames)
    plain = run(ours(seq.frame_rate, smooth=False), boxes, seq.frames)
    other = run(peer(seq.frame_rate), boxes, seq.frames)
    cells = [str(mot.score(each.tracks, seq)) for each in (smoothed, plain, other)]
    return cells, [f"{each.milliseconds:.2f}" for each in (plain, other)]


def _by_frame(rows: mot.MotRows, frames: int) -> Iterator[tuple[int, mot.MotRows]]:
    bounds = np.searchsorted(rows[:, mot.FRAME], np.arange(1, frames + 2))
    for frame, (start, stop) in enumerate(itertools.pairwise(bounds), start=1):
        yield frame, rows[start:stop]


def _claimed(frame: int, ids: NDArray[np.int64], boxes: Boxes) -> mot.MotRows:
    held = ids > 0
    rows = np.ones((int(held.sum()), 7))
    rows[:, mot.FRAME], rows[:, mot.TRACK] = frame, ids[held]
    rows[:, mot.LEFT : mot.TOP + 1] = boxes[held, :2]
    rows[:, mot.WIDTH : mot.HEIGHT + 1] = boxes[held, 2:] - boxes[held, :2]
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tracking", description="Track, score.")
    parser.add_argument("sequences", nargs="*", metavar="SEQUENCE", help="default: all")
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="detections, MOTChallenge text")
    parser.add_argument("--run", action="store_true", help="run the videos, and score that")
    parser.add_argument(
        "--end-to-end",
        nargs=2,
        type=Path,
        metavar=("BOXES", "TRACKS"),
        help="score TRACKS beside what the trackers make of BOXES",
    )
    return parser


def _print(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    for cells in (list(columns), ["---"] * len(columns), *rows):
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
