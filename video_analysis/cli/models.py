"""`contanos models`: what the manifest names, fetched and checked."""

from pathlib import Path
from typing import Annotated

import typer

from contanos.errors import ModelCorrupt, ModelError, OutputError
from contanos.models.fetch import fetch, find, locate
from contanos.models.fetch import verify as check
from contanos.models.manifest import Asset
from video_analysis.models import manifest
from video_analysis.settings import Options

app = typer.Typer(help="List, fetch and check models and sample videos.", no_args_is_help=True)

_DEMO_VIDEO = "demo"
Names = Annotated[list[str] | None, typer.Argument(help="Names; by default the ones in use.")]


@app.command("list")
def show() -> None:
    """What the manifest names, and what of it is on this machine."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what", "MB", "licence", "here", box=None, pad_edge=False)
    for asset in manifest().assets.values():
        size = f"{asset.bytes / 1e6:.1f}" if asset.bytes else "?"
        table.add_row(asset.name, asset.about["task"], size, asset.licence, _here(asset))
    Console(soft_wrap=True).print(table)


@app.command()
def pull(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="Everything in the manifest.")] = False,
    needed: Annotated[
        bool, typer.Option("--needed", help="What `contanos run demo` needs, without a word.")
    ] = False,
) -> None:
    """Fetch models and videos, so that later runs need no network."""
    failed: list[ModelError] = []
    for asset in _chosen(names, every):
        try:
            if find(asset) is None:
                _pull(asset)
        except ModelError as e:
            failed.append(e)
        if not needed:
            typer.echo(f"{asset.name}: {_here(asset)}")
    if failed:
        raise ModelError("\n".join(str(each) for each in failed))


@app.command()
def verify(names: Names = None) -> None:
    """Check the sha256 of what is on this machine."""
    wrong = 0
    for asset in _chosen(names, every=names is None):
        path, state = locate(asset), "yes"
        try:
            if path is None:
                state, missing = "not here", names is not None
                wrong += missing
            else:
                check(asset, path)
        except ModelCorrupt as e:
            state = str(e)
            wrong += 1
        typer.echo(f"{asset.name}: {state}")
    if wrong:
        raise ModelError(f"{wrong} not as the manifest pins them; `contanos models pull` fetches")


@app.command()
def quantize(
    name: Annotated[str, typer.Argument(help="A detector or pose model.")],
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VIDEO]...",
            help="Freely licensed videos of people, files or sample names, that no score is taken "
            "on; by default the samples.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default NAME.json in this folder.")
    ] = None,
    frames: Annotated[
        int, typer.Option(min=1, max=1000, help="Frames of each video, at most.")
    ] = 10,
    keep: Annotated[
        int, typer.Option(min=0, max=1000, help="Convolutions left in float, the worst ones.")
    ] = 8,
) -> None:
    """Make the calibration table from which a model gets its bf16 and int8 graphs."""
    from contanos.models.calibration import save
    from video_analysis.models.examples import sample_clips
    from video_analysis.models.quantize import make_table

    asset = manifest()[name]
    path = out or Path(f"{name}.json")
    if not path.parent.is_dir():
        raise OutputError(f"no folder {path.parent} to write {path.name} to; make it first")
    table = make_table(asset, sample_clips(videos or []), frames, keep)
    try:
        save(table, path)
    except OSError as e:
        raise OutputError(f"cannot write {path}: {e}") from e
    typer.echo(f"{path}: measure its accuracy before it is used, see docs/models.md")


def _chosen(names: list[str] | None, every: bool) -> list[Asset]:
    known = manifest()
    if every:
        return list(known.assets.values())
    options = Options()
    return [known[name] for name in names or (options.detector, options.pose, _DEMO_VIDEO)]


def _here(asset: Asset) -> str:
    try:
        return "yes" if find(asset) else "no"
    except ModelCorrupt as e:
        return str(e)


def _pull(asset: Asset) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"fetching {asset.name}", total=asset.bytes)
        path = fetch(asset, lambda have, total: progress.update(task, completed=have, total=total))
        progress.update(task, completed=asset.bytes or path.stat().st_size)
