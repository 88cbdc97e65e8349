"""A video through the chain on `memory://` in this process; prints one line of JSON.

    python -m bench.one_run VIDEO FRAMES

What `contanos run` does, without its progress bar. Short runs go before, so that neither imports
nor first calls count, as services that run already have them behind them. Time is the summary's,
from the order to the finished outputs; CPU is of the same span.
"""

import json
import resource
import sys
import tempfile
from pathlib import Path

from video_analysis.run import Run
from video_analysis.settings import Options, Settings

WARM_UP = 48  # frames


def main(video: Path, frames: int) -> None:
    """Run, and tell of the last."""
    with tempfile.TemporaryDirectory() as folder:
        _run(video, Path(folder), min(WARM_UP, frames))
        short = _run(video, Path(folder), min(WARM_UP, frames))
        told = _run(video, Path(folder), frames)
    print(json.dumps(told | {"short": short["seconds"]}))


def _run(video: Path, folder: Path, frames: int) -> dict[str, float]:
    run = Run(video, folder, Options(max_frames=frames), Settings())
    before = _cpu()
    summary = run.work(lambda _: None)
    done = summary.proof.published
    return {
        "seconds": summary.wall_seconds,
        "cpu": _cpu() - before,
        "frames": done,
        "people": summary.people.posed / done,
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
