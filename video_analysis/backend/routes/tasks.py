"""Tasks: made, followed, ended, repeated, removed."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.audit import audit
from video_analysis.backend.database.tables import TaskRow, TaskState
from video_analysis.backend.deps import Owner, Reader, Session, Shared, Writer
from video_analysis.backend.exact import COUNTED, Instant
from video_analysis.backend.paging import After, Limit, next_after, page
from video_analysis.backend.problems import refusals, refused
from video_analysis.backend.routes.results import TaskId
from video_analysis.backend.tasks import acts
from video_analysis.backend.tasks.options import TaskOptions
from video_analysis.backend.tasks.ownership import readable_task
from video_analysis.backend.tasks.shown import TaskShown, shown
from video_analysis.backend.uploads.label import shown_text

router = APIRouter(prefix="/tasks", tags=["tasks"])

Priority = Annotated[
    int,
    Field(
        ge=-100,
        le=100,
        description="Among your own tasks; the higher, the sooner.",
        examples=[0],
    ),
    COUNTED,
]
Label = Annotated[
    str,
    Field(min_length=1, max_length=255, description="To know it by.", examples=["walk.mp4"]),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Chosen by you; repeated with the same one, a request makes no second task.",
        examples=["walk-2026-11-24"],
    ),
]


class NewTask(BaseModel):
    """A task to be made."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str = Field(
        max_length=24, description="Its video.", examples=["5e884898da28047151d0e56f"]
    )
    label: Label | None = Field(
        None, description="To know it by; the video's by default.", examples=["walk.mp4"]
    )
    priority: Priority = 0
    options: TaskOptions = Field(default_factory=TaskOptions, description="How to process it.")


class TaskChange(BaseModel):
    """What to change of a task; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    label: Label | None = Field(None, description="To know it by.", examples=["walk.mp4"])
    priority: Priority | None = Field(
        None, description="Among your own tasks; the higher, the sooner.", examples=[10]
    )


class TaskPage(BaseModel):
    """Some tasks, the newest first."""

    items: list[TaskShown] = Field(description="The tasks.")
    next: str | None = Field(
        description="For `after`; null on the last page.",
        examples=["2026-11-24T05:00:00+00:00~9f86d081884c7d659a2feaa0"],
    )


@router.post("", status_code=201, responses=refusals(401, 403, 404, 409))
async def make_task(
    who: Writer,
    given: NewTask,
    session: Session,
    shared: Shared,
    response: Response,
    key: Key = None,
) -> TaskShown:
    """A new task; it begins when its turn comes. 200 where the key has made it before."""
    wish = acts.Wish(
        upload_id=given.upload_id,
        options=given.options.stored(),
        label=shown_text(given.label) if given.label else None,
        priority=given.priority,
        key=key,
    )
    row, new = await acts.create(session, shared.settings, who, wish)
    if not new:
        response.status_code = 200
    await session.commit()
    shared.office.wake()
    return shown(row)


@router.get("", responses=refusals(401, 403))
async def tasks(
    owner: Owner,
    session: Session,
    limit: Limit = 50,
    after: After = None,
    state: Annotated[
        list[TaskState] | None,
        Query(description="In one of these states.", examples=[["queued", "running"]]),
    ] = None,
    upload: Annotated[
        str | None,
        Query(max_length=24, description="Of this video.", examples=["5e884898da28047151d0e56f"]),
    ] = None,
    since: Annotated[
        Instant | None,
        Query(description="Made then or later.", examples=["2026-11-24T05:00:00Z"]),
    ] = None,
    before: Annotated[
        Instant | None, Query(description="Made before.", examples=["2026-11-25T05:00:00Z"])
    ] = None,
) -> TaskPage:
    """One's own tasks, the newest first."""
    mine = select(TaskRow).where(TaskRow.user_id == owner)
    wanted = mine.where(TaskRow.deleted.is_(None), *_filters(state, upload, since, before))
    rows = (await session.scalars(page(wanted, TaskRow, after, limit))).all()
    return TaskPage(items=[shown(each) for each in rows[:limit]], next=next_after(rows, limit))


@router.get("/{task_id}", responses=refusals(401, 403, 404))
async def one_task(who: Reader, task_id: TaskId, shared: Shared) -> TaskShown:
    """One task, as far as it is."""
    return shown(await readable_task(shared, who, task_id))


@router.patch("/{task_id}", responses=refusals(401, 403, 404))
async def change_task(
    who: Writer, task_id: TaskId, given: TaskChange, session: Session, shared: Shared
) -> TaskShown:
    """Another label or priority."""
    row = await _theirs(session, who, task_id)
    if given.label is not None:
        row.label = shown_text(given.label)
    if given.priority is not None:
        row.priority = given.priority
    await session.commit()
    shared.office.wake()
    return shown(row)


@router.post("/{task_id}/cancel", responses=refusals(401, 403, 404, 409))
async def cancel_task(
    who: Writer,
    task_id: TaskId,
    session: Session,
    shared: Shared,
    keep: Annotated[bool, Query(description="Keep what there is by then.", examples=[True])] = True,
) -> TaskShown:
    """End it early."""
    row = await _theirs(session, who, task_id)
    await acts.cancel(session, row, keep)
    await session.commit()
    await shared.office.stop(row)
    return shown(row)


@router.post("/{task_id}/retry", status_code=201, responses=refusals(401, 403, 404, 409))
async def retry_task(who: Writer, task_id: TaskId, session: Session, shared: Shared) -> TaskShown:
    """The same once more, as a new task."""
    row = await _theirs(session, who, task_id)
    again = await acts.retry(session, shared.settings, row, who)
    await session.commit()
    shared.office.wake()
    return shown(again)


@router.delete("/{task_id}", status_code=204, responses=refusals(401, 403, 404))
async def remove_task(
    who: Writer, task_id: TaskId, session: Session, shared: Shared, request: Request
) -> None:
    """Remove it and its results; one that runs ends."""
    row = await _theirs(session, who, task_id)
    await acts.remove(session, row)
    await audit(session, request, "task deleted", row.id)
    await session.commit()
    await shared.office.stop(row)


async def _theirs(session: AsyncSession, who: Principal, task_id: str) -> TaskRow:
    row = await session.get(TaskRow, task_id, with_for_update=True)
    theirs = row and (row.user_id == who.owner_id or who.may("admin"))
    if row is None or row.deleted or not theirs:
        raise refused(404, f"no task {task_id} is yours")
    return row


def _filters(
    state: list[TaskState] | None,
    upload: str | None,
    since: datetime | None,
    before: datetime | None,
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if state:
        found.append(TaskRow.state.in_(state))
    if upload:
        found.append(TaskRow.upload_id == upload)
    if since:
        found.append(TaskRow.created >= since)
    if before:
        found.append(TaskRow.created < before)
    return found
