"""Lets tasks begin: the queue is looked at, and written to, in one transaction."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec import convert
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow, TaskState, Upload, User
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.tasks.queue import Share, Waiting, plan
from video_analysis.backend.uploads.room import stored_bytes
from video_analysis.settings import Options

_DAY = timedelta(days=1)
_TURN = 7_203_552  # any number, the same everywhere: PostgreSQL's name for our turn
_BEFORE: tuple[TaskState, ...] = ("uploaded", "queued")


async def dispatch(database: Database, settings: BackendSettings) -> int:
    """Have as many tasks begin as may; how many did.

    Several backends may do this at once: each waits for its turn.
    """
    waiting = select(TaskRow.id).where(TaskRow.state.in_(_BEFORE)).limit(1)
    if not await database.read(lambda session: session.scalar(waiting)):
        return 0
    async with database.transaction() as session:
        if not database.sqlite:
            await session.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
        await _look_at_uploads(session)
        return await _begin(session, settings)


async def _look_at_uploads(session: AsyncSession) -> None:
    """Tasks whose video has been checked meanwhile are queued, or fail with its fault."""
    found = await session.execute(
        select(TaskRow, Upload)
        .outerjoin(Upload, Upload.id == TaskRow.upload_id)
        .where(TaskRow.state == "uploaded")
    )
    for row, upload in found:
        if upload is None or upload.state == "refused":
            cause = (upload and upload.cause) or "its video was deleted"
            failed = {"state": "failed", "ended": now(), "reason": None, "cause": cause}
            await _change(session, "uploaded", [row.id], **failed)
        elif upload.state == "ready":
            length = {"frames_total": frames_of(row, upload), "seconds": seconds_of(row, upload)}
            await _change(session, "uploaded", [row.id], state="queued", **length)


async def _change(
    session: AsyncSession, state: TaskState, task_ids: Sequence[str], /, **fields: Any
) -> None:
    """Change tasks that are still in a state: they may have been cancelled since we looked."""
    still = update(TaskRow).where(TaskRow.id.in_(task_ids), TaskRow.state == state)
    await session.execute(still.values(**fields).execution_options(synchronize_session=False))


async def _begin(session: AsyncSession, settings: BackendSettings) -> int:
    queued = select(TaskRow).where(TaskRow.state == "queued")
    rows = (await session.scalars(queued.execution_options(populate_existing=True))).all()
    waiting = [
        Waiting(each.id, each.user_id, each.priority, each.created, each.seconds) for each in rows
    ]
    shares = {
        each: await share_of(session, settings, each) for each in {w.user_id for w in waiting}
    }
    running = await session.scalar(select(func.count()).where(TaskRow.state == "running")) or 0
    moment = now()
    todo = plan(waiting, shares, running, settings.running_tasks, moment)
    await _change(session, "queued", todo.begin, state="running", started=moment, reason=None)
    for row in rows:
        if row.id in todo.reasons and row.reason != todo.reasons[row.id]:
            await _change(session, "queued", [row.id], reason=todo.reasons[row.id])
    return len(todo.begin)


async def share_of(session: AsyncSession, settings: BackendSettings, user_id: str) -> Share:
    """What a user has, and may have, at this moment."""
    user = await session.get_one(User, user_id)
    of_a_day = (TaskRow.user_id == user_id, TaskRow.started > now() - _DAY)
    used = select(func.coalesce(func.sum(TaskRow.seconds), 0.0)).where(*of_a_day)
    began = select(TaskRow.started).where(*of_a_day).order_by(TaskRow.started.desc()).limit(1)
    running = select(func.count()).where(TaskRow.user_id == user_id, TaskRow.state == "running")
    minutes = settings.quota_minutes if user.quota_minutes is None else user.quota_minutes
    return Share(
        running=await session.scalar(running) or 0,
        most_running=user.quota_tasks or settings.quota_tasks,
        seconds=await session.scalar(used) or 0.0,
        most_seconds=60 * minutes,
        stored=await stored_bytes(session, user_id),
        most_stored=settings.quota_bytes if user.quota_bytes is None else user.quota_bytes,
        began=await session.scalar(began),
    )


def frames_of(row: TaskRow, upload: Upload) -> int | None:
    """Frames that a task will have, as far as its video's header and its range tell."""
    options = convert(row.options, Options)
    first, most = options.first_frame, options.max_frames
    if upload.frames is None:
        return most
    left = max(0, upload.frames - first)
    return min(left, most) if most else left


def seconds_of(row: TaskRow, upload: Upload) -> float:
    """Seconds of video that a task will have, likewise; 0 where nobody knows."""
    frames = frames_of(row, upload)
    if not upload.seconds or not upload.frames or frames is None:
        return upload.seconds or 0.0
    return upload.seconds * frames / upload.frames
