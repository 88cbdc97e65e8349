"""A task's files, or why they are not there."""

from dataclasses import dataclass
from typing import Literal

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.tables import FINAL, TaskRow
from video_analysis.backend.problems import refused
from video_analysis.backend.state import State
from video_analysis.backend.storage.contract import result_name
from video_analysis.backend.tasks.ownership import readable_task
from video_analysis.results.summary import SUMMARY
from video_analysis.results.writer import RESULTS
from video_analysis.workspace import VIDEO

OutputName = Literal["annotated.mp4", "results.parquet", "summary.json", "thumbnail.jpg"]
THUMBNAIL: OutputName = "thumbnail.jpg"

MEDIA_TYPES: dict[OutputName, str] = {
    "annotated.mp4": "video/mp4",
    "results.parquet": "application/vnd.apache.parquet",
    "summary.json": "application/json",
    "thumbnail.jpg": "image/jpeg",
}

_CALLED = {VIDEO: "annotated video", RESULTS: "result", SUMMARY: "summary", THUMBNAIL: "thumbnail"}


@dataclass(frozen=True, slots=True)
class Output:
    """A file that is kept.

    Attributes:
        task: whose it is; it is over, so its files never change any more.
        file: its name among them.
        size: in bytes.
    """

    task: TaskRow
    file: OutputName
    size: int

    @property
    def name(self) -> str:
        """In the storage."""
        return result_name(self.task.id, self.file)


async def output_of(
    state: State, who: Principal, task_id: str, file: OutputName, too_early: int = 409
) -> Output:
    """A file of a task that they may see.

    Args:
        state: of the application.
        who: asks.
        task_id: from outside.
        file: which one.
        too_early: the status of the refusal while the task is not over.

    Raises:
        HTTPException: 409, the task is not over, so it may be there later; 404, there is no such
            task, or its end left no such file. Each says why.
        OutputError: the storage cannot be reached.
    """
    task = await readable_task(state, who, task_id)
    if task.state not in FINAL:
        raise refused(too_early, _not_yet(task))
    size = await state.storage.size(result_name(task.id, file))
    if size is None:
        raise refused(404, _why_not(task, file))
    return Output(task, file, size)


def _not_yet(task: TaskRow) -> str:
    waits = f" ({task.reason})" if task.reason else ""
    return f"task {task.id} is {task.state}{waits}: its results are there once it is completed"


def _why_not(task: TaskRow, file: OutputName) -> str:
    what = f"task {task.id} has no {_CALLED[file]}"
    if task.state == "failed":
        return f"{what}: it failed: {task.cause or 'the cause is not known'}"
    if task.state == "cancelled":
        return f"{what}: it was cancelled, and nothing of the kind was kept"
    if not task.options.get("video", True) and file in (VIDEO, THUMBNAIL):
        return f"{what}: it was made without one; run it again with the option video"
    return f"{what}: it is not among what was kept"
