"""`contanos export`: a stored result in the formats that other tools read."""

from pathlib import Path
from typing import Annotated

import typer

from video_analysis.settings import ExportFormat


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `contanos run` wrote.")],
    to: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default beside the result.")
    ] = None,
) -> None:
    """Export a stored result as COCO keypoints, MOTChallenge text, CSV or JSON Lines."""
    from video_analysis.results.export import export as write
    from video_analysis.results.reader import open_results

    typer.echo(write(open_results(folder), to, out or folder))
