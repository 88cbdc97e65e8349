"""`contanos submit`: videos to a server, and if wanted their results back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contanos.errors import InputError
from video_analysis.cli.server import NoKey, Server, client_of, interruptible
from video_analysis.cli.tasks import LONG_PATIENCE, goes_on
from video_analysis.settings import GraphName

if TYPE_CHECKING:
    from contanos.client import Client, Options, Task


def submit(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files.")],
    server: Server = None,
    label: Annotated[
        str | None, typer.Option(help="To know the task by; by default the file's name.")
    ] = None,
    priority: Annotated[
        int,
        typer.Option(min=-100, max=100, help="Among your own tasks; the higher, the sooner."),
    ] = 0,
    graph: Annotated[
        GraphName | None, typer.Option(help="Pose before tracking, or tracking before pose.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="Detection model.")] = None,
    pose: Annotated[str | None, typer.Option(help="Pose model.")] = None,
    det_score: Annotated[
        float | None,
        typer.Option(min=0.1, max=1.0, help="Detections from this score on get a pose."),
    ] = None,
    trail: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="Frames that a person's trail reaches back."),
    ] = None,
    blur: Annotated[
        bool, typer.Option("--blur", help="Hide faces in the annotated video.")
    ] = False,
    first_frame: Annotated[
        int | None, typer.Option(min=0, help="Number of the first frame to process.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.")
    ] = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Make the data only.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Wait, and show the progress.")] = False,
    fetch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Wait, and fetch the results; of several videos into DIR/<name of the file>.",
        ),
    ] = None,
    key: NoKey = None,
) -> None:
    """Have a server process videos; prints the id of each task."""
    from contanos.client import Options

    chosen = {
        "graph": graph,
        "detector": detector,
        "pose": pose,
        "det_score": det_score,
        "trail": trail,
        "blur": blur or None,
        "first_frame": first_frame,
        "max_frames": max_frames,
        "video": False if no_video else None,
    }
    options = Options(**{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    folders = _folders(videos, fetch)
    with client_of(server, LONG_PATIENCE) as client:
        tasks = [_submitted(client, each, options, label, priority) for each in videos]
        if watch or fetch:
            raise typer.Exit(_waited(client, tasks, folders))


def _folders(videos: list[Path], fetch: Path | None) -> list[Path | None]:
    """Where each video's results go.

    Raises:
        InputError: two would go to the same place.
    """
    if fetch is None or len(videos) == 1:
        return [fetch] * len(videos)
    if len({each.stem for each in videos}) < len(videos):
        raise InputError("two of the videos have the same name: submit them apart from each other")
    return [fetch / each.stem for each in videos]


def _submitted(
    client: "Client", video: Path, options: "Options", label: str | None, priority: int
) -> "Task":
    from rich.markup import escape

    from video_analysis.cli.follow import transfer

    with interruptible(
        f"{video} was not submitted; if it was after all, `contanos status` shows it"
    ):
        with transfer() as bar:
            line = bar.add_task(escape(video.name), total=None)
            upload = client.upload(
                video, progress=lambda here, total: bar.update(line, completed=here, total=total)
            )
        client.checked(upload)
        task = client.submit(upload, options, label=label, priority=priority)
    typer.echo(f"{task.id}  {video}")
    return task


def _waited(client: "Client", tasks: "list[Task]", folders: list[Path | None]) -> int:
    from video_analysis.cli.fetch import fetch_into
    from video_analysis.cli.follow import ended, watched, worst

    statuses = []
    for task, folder in zip(tasks, folders, strict=True):
        with interruptible(goes_on(task.id)):
            last = watched(client, task.id)
        statuses.append(ended(last))
        if folder and last.bytes:
            with interruptible(f"`contanos fetch {task.id} --out {folder}` goes on"):
                fetch_into(client, task.id, folder)
    return worst(statuses)
