"""What is written down of tasks that run, each change a short transaction of its own."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, and_, delete, or_, select, update

from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import FINAL, TaskRow

_LONGEST = 2048  # characters of a cause
_AT_ONCE = 1000  # ids in one question: databases take some 30 000


async def read(database: Database, task_id: str) -> TaskRow | None:
    """A task's row, if it is still there."""
    return await database.read(lambda session: session.get(TaskRow, task_id))


async def held(database: Database, task_id: str, ours: str) -> TaskRow | None:
    """A task as it is now, if it still runs and is ours.

    Whoever was away for a while, as a machine that slept, asks before doing what counts.
    """
    row = await read(database, task_id)
    return row if row and row.state == "running" and row.claimed_by == ours else None


async def claimed(database: Database, ours: str, seconds: float) -> list[TaskRow]:
    """The tasks that run and are ours to look after; those that nobody does become ours.

    Args:
        database: where they are.
        ours: the name of this backend.
        seconds: for which they are then ours; they are renewed after half of it.
    """
    claim_for = timedelta(seconds=seconds)
    mine, soon = TaskRow.claimed_by == ours, now() + claim_for / 2
    late = or_(TaskRow.claimed_until.is_(None), TaskRow.claimed_until < now())
    due = and_(TaskRow.state == "running", or_(late, and_(mine, TaskRow.claimed_until < soon)))
    asked = select(TaskRow.id).where(due)
    wanted = await database.read(lambda session: session.scalars(asked).all())
    if wanted:
        claim = update(TaskRow).where(TaskRow.id.in_(wanted), due)
        async with database.transaction() as session:
            await session.execute(claim.values(claimed_by=ours, claimed_until=now() + claim_for))
    running = select(TaskRow).where(TaskRow.state == "running", mine)
    return await database.read(lambda session: list(session.scalars(running)))


async def note(database: Database, progress: Mapping[str, dict[str, Any]]) -> None:
    """Write down how far tasks are that still run."""
    async with database.transaction() as session:
        for task_id, fields in progress.items():
            running = update(TaskRow).where(TaskRow.id == task_id, TaskRow.state == "running")
            await session.execute(running.values(**fields))


async def close(database: Database, row: TaskRow, **fields: Any) -> bool:
    """A task that runs is over; False if another backend looks after it now, or did.

    Args:
        database: where it is.
        row: as it was when it was ours.
        fields: of the row, its final state among them.
    """
    if cause := fields.get("cause"):
        fields["cause"] = cause if len(cause) <= _LONGEST else cause[: _LONGEST - 1] + "…"
    fields |= {"ended": now(), "reason": None, "claimed_by": None, "claimed_until": None}
    ours = TaskRow.claimed_by == row.claimed_by
    running = update(TaskRow).where(TaskRow.id == row.id, TaskRow.state == "running", ours)
    async with database.transaction() as session:
        done = await session.execute(running.values(**fields))
        assert isinstance(done, CursorResult)
        return bool(done.rowcount)


async def deleted(database: Database) -> list[TaskRow]:
    """Tasks that are over, and that their users have deleted."""
    gone = select(TaskRow).where(TaskRow.deleted.is_not(None), TaskRow.state.in_(FINAL))
    return await database.read(lambda session: list(session.scalars(gone)))


async def remove(database: Database, task_id: str) -> None:
    """Nothing of a deleted task is left but its row."""
    async with database.transaction() as session:
        await session.execute(
            delete(TaskRow).where(TaskRow.id == task_id, TaskRow.deleted.is_not(None))
        )


async def having(database: Database, task_ids: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of some tasks that run, and those that run or have results."""
    running, keeping = set[str](), set[str]()
    async with database.reading() as session:
        for start in range(0, len(task_ids), _AT_ONCE):
            some = TaskRow.id.in_(task_ids[start : start + _AT_ONCE])
            found = await session.execute(
                select(TaskRow.id, TaskRow.state, TaskRow.bytes).where(some)
            )
            for task_id, state, size in found:
                running |= {task_id} if state == "running" else set()
                keeping |= {task_id} if state == "running" or size else set()
    return running, keeping
