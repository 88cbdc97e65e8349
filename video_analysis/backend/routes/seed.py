"""The calls that this project began with, outside of `/api/v1`."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from video_analysis.backend.database.tables import TaskState
from video_analysis.backend.deps import Reader, Shared, Writer
from video_analysis.backend.http.paths import PREFIX
from video_analysis.backend.problems import refusals
from video_analysis.backend.results.download import download
from video_analysis.backend.results.outputs import output_of
from video_analysis.backend.routes.refusals import TAKING
from video_analysis.backend.routes.results import TaskId
from video_analysis.backend.routes.uploads import FORM, received_form
from video_analysis.backend.tasks.acts import Wish, create
from video_analysis.backend.tasks.options import TaskOptions
from video_analysis.backend.tasks.ownership import readable_task
from video_analysis.backend.tasks.shown import progress_of

router = APIRouter(tags=["seed"])


class Accepted(BaseModel):
    """A video that was taken in, and the task that was made of it."""

    task_id: str = Field(description="Of the task.", examples=["9f86d081884c7d659a2feaa0"])
    message: str = Field(
        description="What happens next.", examples=["walk.mp4 was received: its turn comes"]
    )
    stream_url: str = Field(
        description="Where the frames' results are, as they are tracked: a WebSocket.",
        examples=[f"{PREFIX}/tasks/9f86d081884c7d659a2feaa0/frames/live"],
    )


class Status(BaseModel):
    """How far a task is."""

    task_id: str = Field(description="Of the task.", examples=["9f86d081884c7d659a2feaa0"])
    status: TaskState = Field(description="Of the task.", examples=["running"])
    progress: float | None = Field(description="0 to 1; null where nobody knows.", examples=[0.48])
    message: str | None = Field(
        description="Why it waits, or failed.", examples=["2 of your own tasks come first"]
    )


_BINARY = {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}
_VIDEO: dict[int | str, dict[str, Any]] = {
    200: {"description": "The annotated video.", "content": _BINARY},
    206: {"description": "A part of it.", "content": _BINARY},
    304: {"description": "It is the version that you have."},
}


@router.post("/upload", responses=refusals(*TAKING), openapi_extra=FORM)
async def upload(who: Writer, request: Request, shared: Shared) -> Accepted:
    """A video in the field `file` of a form: it is kept, and a task of the usual sort is made."""
    video = await received_form(who, request, shared)
    wish = Wish(video.id, TaskOptions().stored())
    async with shared.database.transaction() as session:
        task, _ = await create(session, shared.settings, who, wish)
    shared.office.wake()
    return Accepted(
        task_id=task.id,
        message=f"{video.label} was received: its turn comes once it is checked",
        stream_url=f"{PREFIX}/tasks/{task.id}/frames/live",
    )


@router.get("/status/{task_id}", responses=refusals(401, 403, 404))
async def status(who: Reader, task_id: TaskId, shared: Shared) -> Status:
    """How far a task is."""
    row = await readable_task(shared, who, task_id)
    return Status(
        task_id=row.id,
        status=row.state,
        progress=progress_of(row),
        message=row.cause or row.reason,
    )


@router.get(
    "/result/{task_id}",
    response_class=Response,
    responses=_VIDEO | refusals(401, 403, 404, 412, 416, 503),
)
async def result(who: Reader, task_id: TaskId, request: Request, shared: Shared) -> Response:
    """The annotated video; 404 says why there is none, or none yet."""
    output = await output_of(shared, who, task_id, "annotated.mp4", too_early=404)
    return download(shared.storage, output, request)
