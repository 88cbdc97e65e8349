"""A run as its user sees it: a progress bar, Ctrl-C, the summary, an exit status."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from contanos.models.fetch import fetch
from video_analysis.models import manifest
from video_analysis.remote import RemoteRun
from video_analysis.results.summary import Summary, render
from video_analysis.run import Run, Running
from video_analysis.settings import Options, Settings

INCOMPLETE_INPUT, INTERRUPTED = 2, 130


def run_watched(
    video: str, folder: Path, options: Options, bus: str | None = None, task_id: str | None = None
) -> int:
    """Run a file, or a sample by its name, here or by the services on `bus`; the exit status."""
    settings = Settings() if bus is None else Settings(bus=bus)
    make = Run if settings.bus.startswith("memory:") else RemoteRun
    summary = _watched(make(_path(video), folder, options, settings, task_id))
    typer.echo(f"{render(summary)}\n\n  {folder}")
    return _status(summary)


def _path(video: str) -> Path:
    path, known = Path(video), manifest().assets.get(video)
    if not path.exists() and known is not None and known.about["task"] == "video":
        return fetch(known)
    return path


def _watched(run: Run | RemoteRun) -> Summary:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
    )
    with _stop_on_interrupt(run), Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("frames", total=None, fps=0.0)

        def watch(now: Running) -> None:
            fps = now.frames / now.seconds if now.seconds else 0.0
            bar.update(task, completed=now.frames, total=now.total, fps=fps)

        return run.work(watch)


@contextmanager
def _stop_on_interrupt(run: Run | RemoteRun) -> Iterator[None]:
    """Ctrl-C, or a polite kill, ends the run early with a whole result; the second one at once."""

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("stopping; press Ctrl-C again to leave at once", file=sys.stderr)
        run.cancel()

    before = {each: signal.signal(each, first) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _status(summary: Summary) -> int:
    """0 only where everything that the file holds is in the result."""
    if summary.reason == "cancelled":
        return INTERRUPTED
    return 0 if summary.complete else INCOMPLETE_INPUT
