"""Memory of `contanos run` over a long video, beside its beginning alone.

    python -m bench.memory [VIDEO] [--beginning 100]

Each run is a process of its own, sampled ten times a second; the peak is the one that the system
counted, so nothing is missed between samples. Nothing that grows with the length of a video may
stay in memory, so the two peaks must lie within 10 % of each other.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.data import required

LIMIT = 1.10
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
_INTERVAL = 0.1  # seconds
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@dataclass(frozen=True, slots=True)
class Used:
    """Resident memory of one run, in MB.

    Attributes:
        samples: evenly spaced in time, from the start to the end.
        peak: as the system counted it.
        seconds: that the run took.
    """

    samples: list[float]
    peak: float
    seconds: float

    def at(self, share: float) -> float:
        """Of the sample at this share of the run's time."""
        return self.samples[round(share * (len(self.samples) - 1))]


def main() -> int:
    """Print the table; the exit status is 1 where the long run's peak is beyond the limit."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", nargs="?", type=Path, help="default: the test data's 139 s clip")
    parser.add_argument("--beginning", type=int, default=100, metavar="FRAMES")
    arguments = parser.parse_args()
    video = arguments.video or required("videos/intel_one-by-one-person-detection.mp4")
    beginning = measure(video, "--max-frames", str(arguments.beginning))
    whole = measure(video)
    print(f"| RSS in MB at | {' | '.join(f'{share:.0%}' for share in SHARES)} | peak | seconds |")
    print("| --- " * (len(SHARES) + 3) + "|")
    for name, used in ((f"first {arguments.beginning} frames", beginning), ("whole", whole)):
        cells = " | ".join(f"{used.at(share):.0f}" for share in SHARES)
        print(f"| {name} | {cells} | {used.peak:.0f} | {used.seconds:.0f} |")
    ratio = whole.peak / beginning.peak
    print(f"\npeak, whole / beginning: {ratio:.3f}, at most {LIMIT:.2f} is wanted")
    return int(ratio > LIMIT)


def measure(video: Path, *options: str) -> Used:
    """Run `contanos run` on `video` to its end.

    Raises:
        CalledProcessError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "video_analysis", "run", str(video), "--out", folder]
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        samples, status, peak = _watched(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return Used(samples, peak, time.monotonic() - started)


def _watched(pid: int) -> tuple[list[float], int, float]:
    """Samples in MB until the process ends, its status, and its peak in MB."""
    process = psutil.Process(pid)
    samples: list[float] = []
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return samples, status, usage.ru_maxrss * _MAXRSS_UNIT / 1e6
        samples.append(process.memory_info().rss / 1e6)
        time.sleep(_INTERVAL)


if __name__ == "__main__":
    sys.exit(main())
