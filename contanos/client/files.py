"""The files of a task that is over, into a folder."""

from pathlib import Path

from contanos.client.connection import Connection
from contanos.client.fetching import Fetching, FileProgress, folder_for
from contanos.client.models import Task
from contanos.errors import NotFound, OutputError, Refused

VIDEO, DATA, SUMMARY, THUMBNAIL = (
    "annotated.mp4",
    "results.parquet",
    "summary.json",
    "thumbnail.jpg",
)
FILES = (VIDEO, THUMBNAIL, DATA, SUMMARY)  # the summary, which says what there is, comes last


def fetch_files(
    connection: Connection, task: Task, address: str, folder: Path, progress: FileProgress
) -> list[Path]:
    """All that there are; see `Client.fetch`.

    Args:
        connection: to the server.
        task: as it was a moment ago.
        address: of its files.
        folder: for them.
        progress: is told how far each is.

    Raises:
        NotFound: there are none.
        Refused: the task is not over.
        OutputError: they cannot be written, or the folder has those of another task.
    """
    if not task.over:
        raise Refused(f"task {task.id} is {task.state}: its files are there once it is over")
    if task.state == "failed":
        raise NotFound(f"task {task.id} has no files: it failed: {task.cause}")
    with folder_for(folder):
        found = [
            folder / name
            for name in FILES
            if _fetched(connection, task, f"{address}/{name}", folder / name, progress)
        ]
    if not found:
        raise NotFound(f"task {task.id} is {task.state}, and none of its files were kept")
    return found


def _fetched(
    connection: Connection, task: Task, address: str, path: Path, progress: FileProgress
) -> bool:
    """Whether the task has such a file; it is whole without it where it has not."""
    try:
        Fetching(connection, address, path, progress).fetch()
        return True
    except NotFound:
        if _needs(task, path.name):
            raise
    if path.exists():
        raise OutputError(
            f"{path} is of another task, and {task.id} has no such file: choose another folder"
        )
    return False


def _needs(task: Task, name: str) -> bool:
    """Whether something is wrong where a task has no such file."""
    if task.state != "completed" or name == THUMBNAIL:
        return False
    return name != VIDEO or task.options.get("video", True) is True
