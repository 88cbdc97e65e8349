"""`contanos run`: a video file through the whole chain."""

from pathlib import Path
from typing import Annotated

import typer

from contanos.errors import SettingError
from video_analysis.settings import GraphName, Options, PrecisionName, RuntimeName

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
    first_frame: Annotated[
        int, typer.Option(min=0, help="Number of the first frame to process.")
    ] = _DEFAULT.first_frame,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.")
    ] = None,
    trail: Annotated[
        int, typer.Option(min=0, max=1000, help="Frames that a person's trail reaches back.")
    ] = _DEFAULT.trail,
    blur: Annotated[
        bool, typer.Option("--blur", help="Hide faces in the annotated video.")
    ] = _DEFAULT.blur,
    bus: Annotated[
        str | None, typer.Option(help="kafka://host:port: let the services do it, and wait.")
    ] = None,
    task_id: Annotated[
        str | None, typer.Option(help="Name of the task; by default made from the file.")
    ] = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Write the data only.")] = False,
) -> None:
    """Find people, their poses and identities in a video; write an annotated MP4 and the data."""
    if "://" in video:
        raise SettingError(
            f"{video}: cameras and streams cannot be read yet; record to a file and run that"
        )
    options = Options(
        graph=graph,
        detector=detector,
        pose=pose,
        runtime=runtime,
        precision=precision,
        det_score=det_score,
        first_frame=first_frame,
        max_frames=max_frames,
        trail=trail,
        blur=blur,
        video=not no_video,
    )
    from video_analysis.cli.watch import run_watched  # what it imports takes a second

    folder = out or Path("out") / Path(video).stem
    raise typer.Exit(run_watched(video, folder, options, bus, task_id))
