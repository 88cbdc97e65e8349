"""`contanos run`: a video file through the whole chain."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from contanos.errors import SettingError
from contanos.models.fetch import fetch
from video_analysis.models import manifest
from video_analysis.results.summary import Summary, render
from video_analysis.run import Run, Running
from video_analysis.settings import (
    GraphName,
    Options,
    PrecisionName,
    RuntimeName,
    Settings,
)

INCOMPLETE_INPUT, INTERRUPTED = 2, 130
_DEFAULT = Options()


def run(
    video: Annotated[
        str, typer.Argument(help="A video file, or the name of a sample in `models list`.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the outputs; by default out/<name of the file>.")
    ] = None,
    graph: Annotated[
        GraphName, typer.Option(help="Pose before tracking, or tracking before pose.")
    ] = _DEFAULT.graph,
    detector: Annotated[str, typer.Option(help="Detection model.")] = _DEFAULT.detector,
    pose: Annotated[str, typer.Option(help="Pose model.")] = _DEFAULT.pose,
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the models.")] = _DEFAULT.runtime,
    precision: Annotated[
        PrecisionName, typer.Option(help="Of the models' arithmetic.")
    ] = _DEFAULT.precision,
    det_score: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Detections from this score on get a pose.")
    ] = _DEFAULT.det_score,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.")
    ] = None,
    trail: Annotated[
        int, typer.Option(min=0, max=1000, help="Frames that a person's trail reaches back.")
    ] = _DEFAULT.trail,
    no_video: Annotated[bool, typer.Option("--no-video", help="Write the data only.")] = False,
) -> None:
    """Find people, their poses and identities in a video; write an annotated MP4 and the data."""
    path = _input(video)
    options = Options(
        graph=graph,
        detector=detector,
        pose=pose,
        runtime=runtime,
        precision=precision,
        det_score=det_score,
        max_frames=max_frames,
        trail=trail,
        video=not no_video,
    )
    folder = out or Path("out") / path.stem
    summary = _watched(Run(path, folder, options, Settings()))
    typer.echo(f"{render(summary)}\n\n  {folder}")
    raise typer.Exit(_status(summary))


def _input(video: str) -> Path:
    if "://" in video:
        raise SettingError(
            f"{video}: cameras and streams cannot be read yet; record to a file and run that"
        )
    path, known = Path(video), manifest().assets.get(video)
    if not path.exists() and known is not None and known.about["task"] == "video":
        return fetch(known)
    return path


def _watched(run: Run) -> Summary:
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
def _stop_on_interrupt(run: Run) -> Iterator[None]:
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
