"""`contanos status`, `watch` and `cancel`: tasks of a server."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from video_analysis.cli.server import NoKey, Server, TaskId, client_of, interruptible

if TYPE_CHECKING:
    from contanos.client import Task

LONG_PATIENCE = 120.0  # seconds, in what takes long anyway


def status(
    task_id: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="Id of a task; by default all.")
    ] = None,
    server: Server = None,
    state: Annotated[list[str] | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Tasks to show, the newest first.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    key: NoKey = None,
) -> None:
    """Show tasks, or one in detail: why it waits, why it failed, its proof."""
    from itertools import islice

    with client_of(server) as client:
        if task_id is not None:
            _show_one(client.task(task_id), json)
        else:
            _show(list(islice(client.tasks(state=state or ()), limit)), json)


def watch(task_id: TaskId, server: Server = None, key: NoKey = None) -> None:
    """Show a task's progress until it is over. Ctrl-C leaves it running."""
    from video_analysis.cli.follow import ended, watched

    with client_of(server, LONG_PATIENCE) as client, interruptible(goes_on(task_id)):
        raise typer.Exit(ended(watched(client, task_id)))


def cancel(
    task_id: TaskId,
    server: Server = None,
    drop: Annotated[bool, typer.Option("--drop", help="Keep nothing of what there is.")] = False,
    key: NoKey = None,
) -> None:
    """End a task early; what there is by then is kept."""
    with client_of(server) as client:
        task = client.cancel(task_id, keep=not drop)
    typer.echo(f"{task.id}  {'ending' if task.cancelling else task.state}")


def goes_on(task_id: str) -> str:
    """For whoever leaves a task alone."""
    return (
        f"task {task_id} goes on; `contanos watch {task_id}` shows it, "
        f"`contanos cancel {task_id}` ends it"
    )


def _show(tasks: "list[Task]", json: bool) -> None:
    if json:
        _write(tasks)
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from contanos.client.answers import printable

    table = Table(
        Column("task", no_wrap=True),
        "label",
        "state",
        "frames",
        "made",
        "",
        box=None,
        pad_edge=False,
    )
    for each in tasks:
        cells = (each.id, each.label, each.state, _frames(each), _when(each), _why(each))
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console(soft_wrap=True).print(table)


def _show_one(task: "Task", json: bool) -> None:
    if json:
        _write(task)
        return
    from msgspec.structs import asdict
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from contanos.client.answers import printable

    table = Table("", "", box=None, show_header=False, pad_edge=False)
    for name, value in asdict(task).items():
        if name not in ("proof", "options") and value not in (None, ""):
            table.add_row(name, Text(printable(str(value))))
    for name, value in task.options.items():
        table.add_row(name, Text(printable(str(value))))
    for name, value in (asdict(task.proof) if task.proof else {}).items():
        if value is not None:
            table.add_row(f"proof: {name}", Text(printable(str(value))))
    Console(soft_wrap=True).print(table)


def _write(shown: object) -> None:
    import msgspec

    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(shown)) + b"\n")


def _frames(task: "Task") -> str:
    return f"{task.frames}/{task.frames_total}" if task.frames_total else str(task.frames)


def _when(task: "Task") -> str:
    return f"{task.created.astimezone():%Y-%m-%d %H:%M}" if task.created else ""


def _why(task: "Task") -> str:
    incomplete = task.state == "completed" and not task.complete
    return task.cause or task.reason or ("INCOMPLETE" if incomplete else "")
