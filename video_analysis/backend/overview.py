"""Sums over all users, for administrators."""

import shutil
from pathlib import Path
from typing import NamedTuple

from anyio import to_thread
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.database.tables import Role, TaskRow, TaskState, Upload, User

_USERS = 100  # that are listed


class UserBytes(NamedTuple):
    """What a user has stored, in bytes."""

    user_id: str
    name: str
    bytes: int


async def users_by_role(session: AsyncSession) -> dict[Role, int]:
    """Accounts, by role."""
    found = await session.execute(select(User.role, func.count()).group_by(User.role))
    return {row[0]: row[1] for row in found}


async def tasks_by_state(session: AsyncSession) -> dict[TaskState, int]:
    """Tasks that are not deleted, by state."""
    counts = select(TaskRow.state, func.count()).where(TaskRow.deleted.is_(None))
    found = await session.execute(counts.group_by(TaskRow.state))
    return {row[0]: row[1] for row in found}


async def users_stored(session: AsyncSession) -> list[UserBytes]:
    """The users who have stored the most, counted as `room.stored_bytes` does."""
    kept = Upload.source != "media", Upload.state != "refused"
    uploads = select(func.sum(Upload.bytes)).where(Upload.user_id == User.id, *kept)
    results = select(func.sum(TaskRow.bytes)).where(TaskRow.user_id == User.id)
    total = func.coalesce(uploads.scalar_subquery(), 0) + func.coalesce(
        results.scalar_subquery(), 0
    )
    most = select(User.id, User.name, total.label("bytes")).order_by(total.desc(), User.name)
    found = await session.execute(most.limit(_USERS))
    return [UserBytes(user_id, name, int(size)) for user_id, name, size in found]


async def free_bytes(folder: Path) -> int:
    """Of the disk that a folder is on, or will be."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return (await to_thread.run_sync(shutil.disk_usage, there)).free
