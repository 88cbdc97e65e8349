"""Removes what is remembered for a while only: the audit's old rows, wrong logins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import Audit, WrongLogins
from video_analysis.backend.settings import BackendSettings

_PAUSE = 3600.0  # seconds
_COUNTED = timedelta(days=1)  # wrong passwords that are further apart are not in a row

log = structlog.get_logger(__name__)


async def forget(database: Database, settings: BackendSettings) -> None:
    """Once."""
    locked = timedelta(seconds=settings.lockout_seconds)
    kept = timedelta(days=settings.audit_days)
    async with database.transaction() as session:
        await session.execute(delete(Audit).where(Audit.at < now() - kept))
        old = now() - max(_COUNTED, locked)
        await session.execute(delete(WrongLogins).where(WrongLogins.at < old))


@asynccontextmanager
async def forgetting(database: Database, settings: BackendSettings) -> AsyncIterator[None]:
    """Now and then, as long as the block runs."""
    going_on = asyncio.create_task(_run(database, settings), name="forgetting")
    try:
        yield
    finally:
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)


async def _run(database: Database, settings: BackendSettings) -> None:
    while True:
        try:
            await forget(database, settings)
        except (SQLAlchemyError, OSError) as e:
            log.warning("old rows could not be removed", cause=str(e))
        await asyncio.sleep(_PAUSE)
