"""MOTChallenge text, the sequences of the test data, and TrackEval's three scores."""

import configparser
import contextlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trackeval
from numpy.typing import NDArray

from contanos.errors import InputError

# Rows of frame (from 1), track id, left, top, width, height in pixels, and score.
MotRows = NDArray[np.float64]

FRAME, TRACK, LEFT, TOP, WIDTH, HEIGHT, SCORE = range(7)
_LINE = "%d,%d,%.3f,%.3f,%.3f,%.3f,%.5f,-1,-1,-1"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A MOTChallenge sequence with its ground truth.

    Attributes:
        name: as MOTChallenge names it.
        benchmark: MOT15, whose ground truth has no classes, or MOT17, with distractors.
        frames: how many frames are scored, numbered from 1.
        frame_rate: in frames per second.
        ground_truth: its gt file.
        detections: the public detections, as a file of the whole sequence.
        skipped: how many frames of that file come before frame 1.
    """

    name: str
    benchmark: str
    frames: int
    frame_rate: float
    ground_truth: Path
    detections: Path
    skipped: int = 0

    def public_detections(self) -> MotRows:
        """The rows of `detections` that belong to the frames scored, renumbered from 1."""
        rows = read_mot(self.detections)
        rows[:, FRAME] -= self.skipped
        return rows[rows[:, FRAME] > 0]


@dataclass(frozen=True, slots=True)
class Scores:
    """HOTA (mean over its 19 thresholds), MOTA and IDF1 at IoU 0.5, all in percent."""

    hota: float
    mota: float
    idf1: float

    def __str__(self) -> str:
        return f"{self.hota:.1f} / {self.mota:.1f} / {self.idf1:.1f}"


def data_folder() -> Path:
    """The test data: `CONTANOS_TEST_DATA`, else `../shared/data` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CONTANOS_TEST_DATA", beside))


def sequence(name: str) -> Sequence:
    """The sequence of the test data called `name`.

    Of MOT17 it is the second half, as the ByteTrack authors evaluate: frames after n // 2 + 1.

    Raises:
        InputError: the test data holds no such sequence.
    """
    benchmark = "MOT17" if name.startswith("MOT17") else "MOT15"
    folder = data_folder() / benchmark.lower() / name
    if not folder.is_dir():
        raise InputError(
            f"no sequence {name} in {data_folder()}; set CONTANOS_TEST_DATA to the data"
        )
    ini = configparser.ConfigParser()
    ini.read(folder / "seqinfo.ini")
    frames, rate = ini.getint("Sequence", "seqLength"), ini.getfloat("Sequence", "frameRate")
    gt, det = folder / "gt", folder / "det"
    if benchmark == "MOT15":
        return Sequence(name, benchmark, frames, rate, gt / "gt.txt", det / "det.txt")
    half = frames // 2 + 1
    truth, boxes = gt / "gt_val_half.txt", det / "yolox_x_ablation.txt"
    return Sequence(name, benchmark, frames - half, rate, truth, boxes, half)


def read_mot(path: Path) -> MotRows:
    """The first seven columns of a MOTChallenge text file, in order of frame.

    Raises:
        InputError: it cannot be read, or is not such a file.
    """
    try:
        lines = path.read_text().splitlines()
        # numpy warns of a file without a line, which here is a video without a person.
        rows = np.loadtxt(lines, delimiter=",", usecols=range(7)) if lines else np.empty(0)
    except (OSError, ValueError) as e:
        raise InputError(f"{path} is not MOTChallenge text: {e}") from e
    rows = rows.reshape(-1, 7)
    return rows[np.argsort(rows[:, FRAME], kind="stable")]


def write_mot(path: Path, rows: MotRows) -> None:
    """Write `rows` as MOTChallenge text."""
    np.savetxt(path, rows, fmt=_LINE)


def xyxy(rows: MotRows) -> NDArray[np.float64]:
    """The boxes of `rows`: [N, 4], x1, y1, x2, y2 in pixels."""
    corner = rows[:, LEFT : TOP + 1]
    return np.concatenate((corner, corner + rows[:, WIDTH : HEIGHT + 1]), axis=1)


def score(tracks: MotRows, seq: Sequence) -> Scores:
    """TrackEval's scores of `tracks`; boxes on distractors are removed first, as it does.

    Raises:
        InputError: frames beyond the sequence, or an id twice in one frame.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        try:
            data = _matched(tracks, seq, Path(folder))
        except trackeval.utils.TrackEvalException as e:
            raise InputError(f"tracks that cannot be scored on {seq.name}: {e}") from e
        hota = trackeval.metrics.HOTA().eval_sequence(data)
        clear = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
        identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    return Scores(100 * hota["HOTA"].mean(), 100 * clear["MOTA"], 100 * identity["IDF1"])


def _matched(tracks: MotRows, seq: Sequence, folder: Path) -> dict[str, Any]:
    """TrackEval's own structure for one sequence; it reads tracks from a tree of files only."""
    written = folder / "ours" / "data" / f"{seq.name}.txt"
    written.parent.mkdir(parents=True)
    write_mot(written, tracks)
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder),
            "GT_LOC_FORMAT": str(seq.ground_truth),
            "TRACKERS_FOLDER": str(folder),
            "TRACKERS_TO_EVAL": ["ours"],
            "BENCHMARK": seq.benchmark,
            "SEQ_INFO": {seq.name: seq.frames},
            "SKIP_SPLIT_FOL": True,
            "PRINT_CONFIG": False,
        }
    )
    raw = dataset.get_raw_seq_data("ours", seq.name)
    data: dict[str, Any] = dataset.get_preprocessed_seq_data(raw, "pedestrian")
    return data
