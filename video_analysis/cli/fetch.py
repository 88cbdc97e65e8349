"""`contanos fetch`: a task's files, or its result in another format."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from video_analysis.cli.server import NoKey, Server, TaskId, client_of, interruptible
from video_analysis.cli.tasks import LONG_PATIENCE
from video_analysis.settings import ExportFormat

if TYPE_CHECKING:
    from contanos.client import Client

_NAMES: dict[ExportFormat, str] = {
    "coco": "results.coco.json",
    "mot": "results.mot.txt",
    "csv": "results.csv",
    "jsonl": "results.jsonl",
}


def fetch(
    task_id: TaskId,
    server: Server = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder; by default out/TASK.")
    ] = None,
    export: Annotated[
        ExportFormat | None, typer.Option(help="The result in this format, instead of the files.")
    ] = None,
    key: NoKey = None,
) -> None:
    """Fetch the files of a task that is over. What was cut off goes on."""
    from video_analysis.cli.follow import ended

    folder = out or Path("out") / Path(task_id).name
    with client_of(server, LONG_PATIENCE) as client:
        task = client.task(task_id)
        with interruptible("what has come is kept; the same command goes on"):
            fetch_into(client, task_id, folder, export)
        raise typer.Exit(ended(task))


def fetch_into(
    client: "Client", task_id: str, folder: Path, export: ExportFormat | None = None
) -> None:
    """With a bar for each file; names them at last."""
    from video_analysis.cli.follow import transfer

    with transfer() as bar:
        lines = {}

        def progress(name: str, here: int, total: int) -> None:
            if name not in lines:
                lines[name] = bar.add_task(name, total=total)
            bar.update(lines[name], completed=here, total=total)

        if export:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / _NAMES[export]
            files = [client.export(task_id, export, path, progress=progress)]
        else:
            files = client.fetch(task_id, folder, progress=progress)
    for each in files:
        typer.echo(each)
