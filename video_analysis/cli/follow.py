"""`contanos watch`: a server's task as it goes on, and what came of it."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from contanos.client import Client, Task
from contanos.client.answers import printable

COMPLETE, FAILED, INCOMPLETE = 0, 1, 2


def watched(client: Client, task_id: str) -> Task:
    """Show a bar until a task is over."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        line = bar.add_task("", total=None, fps=0.0)
        for task in client.watch(task_id):
            bar.update(
                line,
                description=escape(_in_short(task)),
                completed=task.frames,
                total=task.frames_total,
                fps=task.fps or 0.0,
            )
    return task


def ended(task: Task) -> int:
    """Print what came of a task; the exit status for it."""
    typer.echo(f"{task.id}  {outcome(task)}")
    if task.complete:
        return COMPLETE
    return FAILED if task.state == "failed" else INCOMPLETE


def outcome(task: Task) -> str:
    """A line for a person."""
    if task.state == "failed":
        return f"failed: {printable(task.cause or 'the cause is not known')}"
    proof = task.proof
    if proof is None:
        return _in_short(task)
    failed = f", {proof.failed} of them failed" if proof.failed else ""
    cut = f"; the video is cut: {printable(proof.truncated)}" if proof.truncated else ""
    if proof.complete:
        return f"complete: {proof.read} frames in, {proof.tracked} frames out{failed}"
    return f"INCOMPLETE ({task.state}): {proof.tracked} of {proof.read} frames{failed}{cut}"


def transfer() -> Progress:
    """A bar for bytes."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def worst(statuses: list[int]) -> int:
    """The exit status of several tasks: our own failures come first."""
    return FAILED if FAILED in statuses else max(statuses, default=COMPLETE)


def _in_short(task: Task) -> str:
    state = "ending" if task.cancelling else task.state
    return printable(f"{state}: {task.reason}" if task.reason else state)
