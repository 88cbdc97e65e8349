"""Locks a name after too many wrong passwords.

Names that are no account's are counted and locked as others are: whether somebody has an account
is nothing that answers should tell.
"""

import math
from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import WrongLogins
from video_analysis.backend.problems import refused
from video_analysis.backend.settings import BackendSettings


def refuse_locked(row: WrongLogins | None) -> None:
    """Let nobody try a password for a name that is locked.

    Raises:
        HTTPException: 429, it is.
    """
    if row and row.locked_until:
        refuse_while((row.locked_until - now()).total_seconds(), "too many wrong passwords")


def refuse_while(seconds: float, why: str) -> None:
    """Let nobody go on before so many seconds have passed.

    Raises:
        HTTPException: 429, they have not.
    """
    if seconds > 0:
        left = math.ceil(seconds)
        raise refused(429, f"{why}: wait {left} s", Retry_After=str(left))


async def counted(session: AsyncSession, name: str) -> WrongLogins:
    """The count of a name, which nobody else changes before the session's transaction ends.

    Args:
        session: a writing one.
        name: from `Tokens.veiled`.
    """
    while (row := await session.get(WrongLogins, name, with_for_update=True)) is None:
        try:
            async with session.begin_nested():
                session.add(WrongLogins(name=name))
        except IntegrityError:  # another request was first: wait for its end
            continue
    return row


def note_wrong(row: WrongLogins, settings: BackendSettings) -> bool:
    """Count a wrong password.

    Returns:
        Whether the name is locked from now on.
    """
    row.wrong, row.at = row.wrong + 1, now()
    if row.wrong < settings.login_attempts:
        return False
    row.wrong, wait = 0, timedelta(seconds=settings.lockout_seconds)
    row.locked_until = now() + wait
    return True
