"""Whether somebody who was let in may still watch."""

import asyncio

from fastapi import HTTPException
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.accounts.principal import Principal, scopes_of
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import ApiKey, Login, User
from video_analysis.backend.state import State
from video_analysis.backend.tasks.ownership import readable_task

_ENDED = "this login was ended, or its key revoked: log in again"


async def why_not(state: State, who: Principal, task_id: str) -> str | None:
    """None while they may watch a task; otherwise why they may not any more.

    An access token that has expired meanwhile is no reason: its login counts. Nor is a database
    that cannot be reached.

    Args:
        state: of the application.
        who: was let in.
        task_id: what they watch.
    """
    try:
        async with state.database.reading() as session:
            known = await _known(session, who)
        if known is None or not known.may("read"):
            return _ENDED
        await readable_task(state, known, task_id)
    except HTTPException as e:
        return str(e.detail)
    except (SQLAlchemyError, OSError):
        return None
    return None


async def until_unwelcome(state: State, who: Principal, task_id: str) -> str:
    """Return once they may not watch any more: why."""
    while True:
        await asyncio.sleep(state.live.check_seconds)
        if why := await why_not(state, who, task_id):
            return why


async def _known(session: AsyncSession, who: Principal) -> Principal | None:
    """Who they are now; None where they would not be let in."""
    user = await session.get(User, who.user.id)
    good = await (_key_is_good if who.key_id else _login_is_good)(session, who)
    if not good or user is None or not user.active:
        return None
    return Principal(user, who.scopes & scopes_of(user.role), who.login_id, who.key_id)


async def _key_is_good(session: AsyncSession, who: Principal) -> bool:
    key = await session.get(ApiKey, who.key_id)
    return bool(key and not key.revoked and not (key.expires and key.expires <= now()))


async def _login_is_good(session: AsyncSession, who: Principal) -> bool:
    login = await session.get(Login, who.login_id)
    return bool(login and not login.ended and login.expires > now())
