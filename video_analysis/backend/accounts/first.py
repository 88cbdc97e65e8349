"""The first administrator, without whom nobody could let anybody in."""

import secrets

import structlog
from sqlalchemy import func, select

from video_analysis.backend.accounts.passwords import hashed
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import User
from video_analysis.backend.settings import BackendSettings

log = structlog.get_logger(__name__)


async def make_first_admin(database: Database, settings: BackendSettings) -> str | None:
    """Make the account if there is none at all.

    Returns:
        Its password, if it was made up: it is kept nowhere, so tell somebody.
    """
    given = settings.admin_password.get_secret_value()
    password = given or secrets.token_urlsafe(16)
    stored = await hashed(password)
    async with database.transaction() as session:
        if await session.scalar(select(func.count()).select_from(User)):
            return None
        session.add(User(name=settings.admin_name, password=stored, role="admin"))
    log.info("first administrator made", name=settings.admin_name)
    return None if given else password
