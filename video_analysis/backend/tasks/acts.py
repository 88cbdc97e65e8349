"""What users do with tasks: each a transaction, decided by what the row says at that moment."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import FINAL, TaskRow, Upload
from video_analysis.backend.problems import refused
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.tasks.dispatch import frames_of, seconds_of, share_of


@dataclass(frozen=True, slots=True)
class Wish:
    """A task that somebody wants.

    Attributes:
        upload_id: its video.
        options: as `TaskOptions.stored` gives them.
        label: what they call it; None for the video's label.
        priority: among their tasks.
        key: of idempotency; None for no such key.
        retry_of: the task that it repeats.
    """

    upload_id: str
    options: dict[str, Any]
    label: str | None = None
    priority: int = 0
    key: str | None = None
    retry_of: str | None = None


async def create(
    session: AsyncSession, settings: BackendSettings, who: Principal, wish: Wish
) -> tuple[TaskRow, bool]:
    """A new task, or the one that was made before with the same key; and whether it is new.

    Raises:
        HTTPException: 404, the upload is not theirs; 409, it cannot be used, or the key was used
            for another wish; 422, the video is too short, or longer than they may have in a day.
    """
    upload = await session.get(Upload, wish.upload_id, with_for_update=True)
    if upload is None or not (upload.user_id == who.owner_id or who.may("admin")):
        raise refused(404, f"no upload {wish.upload_id} is yours")
    if before := await _with_key(session, upload.user_id, wish):
        return before, False
    if upload.state == "refused":
        raise refused(409, f"this upload cannot be used: {upload.cause}")
    row = _row(upload, wish)
    if upload.state == "ready":
        await _refuse_size(session, settings, row, upload)
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as e:  # the same key at the same moment
        raise refused(409, "the same request is being made: repeat it") from e
    return row, True


async def cancel(session: AsyncSession, row: TaskRow, keep: bool) -> None:
    """End a task early; one that has not begun is over at once.

    Raises:
        HTTPException: 409, it is over.
    """
    if row.state in FINAL:
        raise refused(409, f"the task is over: it has {_ENDED[row.state]}")
    row.cancel, row.keep_partial = True, keep
    if row.state != "running":
        row.state, row.ended, row.reason = "cancelled", now(), None


async def remove(session: AsyncSession, row: TaskRow) -> None:
    """Delete a task; one that runs is ended first."""
    row.deleted, row.idempotency_key = now(), None
    if row.state not in FINAL:
        await cancel(session, row, keep=False)


async def retry(
    session: AsyncSession, settings: BackendSettings, row: TaskRow, who: Principal
) -> TaskRow:
    """The same once more, as a new task; results of the old one stay.

    Raises:
        HTTPException: 409, it is not over, or its video is gone.
    """
    if row.state not in FINAL:
        raise refused(409, "the task is not over: cancel it first")
    if row.upload_id is None:
        raise refused(409, "its video was deleted: upload it again")
    wish = Wish(row.upload_id, row.options, row.label, row.priority, retry_of=row.id)
    return (await create(session, settings, who, wish))[0]


_ENDED = {"completed": "completed", "failed": "failed", "cancelled": "been cancelled"}


async def _with_key(session: AsyncSession, user_id: str, wish: Wish) -> TaskRow | None:
    if wish.key is None:
        return None
    named = select(TaskRow).where(TaskRow.user_id == user_id, TaskRow.idempotency_key == wish.key)
    row = await session.scalar(named)
    if row and (row.upload_id, row.options) != (wish.upload_id, wish.options):
        raise refused(409, "this Idempotency-Key was used for another task: choose a new one")
    return row


def _row(upload: Upload, wish: Wish) -> TaskRow:
    row = TaskRow(
        user_id=upload.user_id,
        upload_id=upload.id,
        label=wish.label or upload.label,
        state="queued" if upload.state == "ready" else "uploaded",
        options=wish.options,
        priority=wish.priority,
        idempotency_key=wish.key,
        retry_of=wish.retry_of,
        created=now(),
    )
    row.frames_total, row.seconds = frames_of(row, upload), seconds_of(row, upload)
    if upload.state != "ready":
        row.reason = "its video is still being received or checked"
    return row


async def _refuse_size(
    session: AsyncSession, settings: BackendSettings, row: TaskRow, upload: Upload
) -> None:
    """What can never begin is not queued."""
    if row.frames_total == 0:
        raise refused(422, f"options.first_frame: the video has only {upload.frames} frames")
    most = (await share_of(session, settings, row.user_id)).most_seconds
    if row.seconds > most:
        raise refused(
            422,
            f"it takes {row.seconds / 60:.1f} minutes of video, and you have {most / 60:g} a day: "
            "choose a part of it with first_frame and max_frames",
        )
