"""What each way of carrying frames costs: bytes, CPU and loss.

    python -m bench.codec [VIDEO ...] [--frames 250]

CPU is of all threads, without decoding the file; `encode` is what ingest does for a frame, `decode`
what one reader does. PSNR is of Y, U and V together, over all frames; `source` must lose nothing.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from contanos.models.fetch import fetch
from contanos.video.codec import FrameCodec
from contanos.video.frame import Frame
from contanos.video.record import from_record, to_record
from video_analysis.models import manifest

CODECS = ("jpeg:75", "jpeg:85", "jpeg:90", "jpeg:95", "source")
REPEATS = 3
_DEFAULT = ("demo", "vtest")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one codec over one video; times in ms of CPU a frame.

    Attributes:
        frames: how many.
        records: how many they made.
        size: bytes of all records, headers among them.
        largest: bytes of the largest.
        longest: most frames in one.
        encode: at ingest, without decoding.
        decode: at a reader, reading the record among it.
        error: sum of squared differences, and how many samples.
        fallbacks: frames that became JPEGs although packets were asked for.
    """

    frames: int
    records: int
    size: int
    largest: int
    longest: int
    encode: float
    decode: float
    error: tuple[float, int]
    fallbacks: int

    @property
    def psnr(self) -> float:
        """In dB; infinite where nothing is lost."""
        squares, samples = self.error
        return float(10 * np.log10(255**2 * samples / squares)) if squares else float("inf")


def main() -> int:
    """Print a table a video."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", nargs="*", type=Path, help="default: demo and vtest")
    parser.add_argument("--frames", type=int, default=250)
    arguments = parser.parse_args()
    for video in arguments.video or [fetch(manifest()[name]) for name in _DEFAULT]:
        plain = median(_decoding(video, arguments.frames) for _ in range(REPEATS))
        print(f"\n{video.name}: decoding the file costs {plain:.2f} ms CPU a frame\n")
        print("| codec | KB a frame | encode ms | decode ms | PSNR dB | largest KB | frames |")
        print("| --- " * 7 + "|")
        for name in CODECS:
            _print(name, _cost(video, FrameCodec.parse(name), arguments.frames, plain))
    return 0


def _print(name: str, cost: Cost) -> None:
    told = (
        f"{cost.longest}" if not cost.fallbacks else f"{cost.longest}, {cost.fallbacks} fell back"
    )
    print(
        f"| {name} | {cost.size / cost.frames / 1e3:.1f} | {cost.encode:.2f} | {cost.decode:.2f} "
        f"| {cost.psnr:.2f} | {cost.largest / 1e3:.0f} | {told} |"
    )


def _decoding(video: Path, frames: int) -> float:
    """CPU of reading the file alone, ms a frame."""
    with FrameCodec.parse("jpeg:90").open(video) as source:
        started = time.process_time()
        count = sum(1 for _ in islice(source, frames))
    return (time.process_time() - started) / count * 1e3


def _cost(video: Path, codec: FrameCodec, frames: int, plain: float) -> Cost:
    runs = [_run(video, codec, frames, plain) for _ in range(REPEATS)]
    encode, decode = (median(getattr(run, name) for run in runs) for name in ("encode", "decode"))
    first = runs[0]
    return Cost(
        first.frames,
        first.records,
        first.size,
        first.largest,
        first.longest,
        encode,
        decode,
        first.error,
        first.fallbacks,
    )


def _run(video: Path, codec: FrameCodec, frames: int, plain: float) -> Cost:
    """One pass; compared frame by frame with the file, so that little is in memory."""
    encode = decode = squares = 0.0
    samples = count = 0
    sizes, lengths = [], []
    with FrameCodec.parse("jpeg:90").open(video) as truth, codec.open(video) as source:
        expected = iter(truth)
        groups = codec.groups(source, max_frames=frames)
        each = iter(groups)
        while True:
            started = time.process_time()
            group = next(each, None)
            record = None if group is None else to_record(group)
            encode += time.process_time() - started
            if record is None:
                break
            value, headers = record
            sizes.append(len(value) + sum(len(name) + len(text) for name, text in headers))
            started = time.process_time()
            read = from_record(value, headers)
            decode += time.process_time() - started
            lengths.append(len(read))
            for frame_id in range(read.frame_id, read.end):
                started = time.process_time()
                got = read.frame(frame_id)
                decode += time.process_time() - started
                error = _difference(got, next(expected))
                squares, samples = squares + error[0], samples + error[1]
        count = sum(lengths)
    return Cost(
        count,
        len(sizes),
        sum(sizes),
        max(sizes),
        max(lengths),
        encode / count * 1e3 - plain,
        decode / count * 1e3,
        (squares, samples),
        groups.fallbacks.total(),
    )


def _difference(a: object, b: object) -> tuple[float, int]:
    """Sum of squared differences of all planes, and the number of samples."""
    if not isinstance(a, Frame) or not isinstance(b, Frame):
        return 0.0, 0
    pairs = list(_planes(a, b))
    return sum(float(((x - y.astype(np.int32)) ** 2).sum()) for x, y in pairs), sum(
        x.size for x, _ in pairs
    )


def _planes(a: Frame, b: Frame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield from ((a.y, b.y), (a.u, b.u), (a.v, b.v))


if __name__ == "__main__":
    sys.exit(main())
