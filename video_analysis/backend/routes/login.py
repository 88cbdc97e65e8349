"""Coming in and going out."""

from datetime import timedelta

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.accounts.passwords import MOST, matches
from video_analysis.backend.accounts.secret import digest, new_secret
from video_analysis.backend.accounts.tokens import Claims
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import Login, User
from video_analysis.backend.deps import Reader, Session, Shared
from video_analysis.backend.problems import refusals, refused

router = APIRouter(prefix="/login", tags=["login"])


class Credentials(BaseModel):
    """A name and its password."""

    name: str = Field(max_length=64, description="Of the account.", examples=["ada"])
    password: str = Field(max_length=MOST, description="Of the account.", examples=["analytical!"])


class Refresh(BaseModel):
    """What keeps a login alive."""

    refresh_token: str = Field(
        max_length=128, description="From the last answer; good once.", examples=["h1Zr..."]
    )


class Pass(BaseModel):
    """What to show with every request, and what to get the next one with."""

    access_token: str = Field(description="For `Authorization: Bearer`.", examples=["eyJhb..."])
    token_type: str = Field("bearer", description="As OAuth 2.0 has it.", examples=["bearer"])
    expires_in: int = Field(description="Seconds that it is good for.", examples=[900])
    refresh_token: str = Field(description="For the next one; good once.", examples=["h1Zr..."])


@router.post("", responses=refusals(401, 429))
async def log_in(given: Credentials, shared: Shared) -> Pass:
    """A name and a password for tokens. Too many wrong ones lock the name for a while."""
    named = select(User).where(User.name == given.name)
    async with shared.database.reading() as session:
        known = await session.scalar(named)
    _refuse_locked(known, shared)
    # Hashing takes long, so nobody's changes wait for it.
    right = await matches(given.password, known.password if known else None)
    async with shared.database.transaction() as session:
        user = await session.scalar(named.with_for_update())
        _refuse_locked(user, shared)
        if user and user.active and right:
            return await _logged_in(session, shared, user)
        if user:
            _note_wrong(user, shared)
    raise refused(401, "wrong name or password")


@router.post("/refresh", responses=refusals(401))
async def refresh(given: Refresh, session: Session, shared: Shared) -> Pass:
    """The next tokens. A refresh token that was used before ends the login: one was stolen."""
    shown = digest(given.refresh_token)
    login = await session.scalar(
        select(Login).where((Login.token == shown) | (Login.before == shown))
    )
    if login and login.token != shown and not login.ended:
        login.ended = now()
        await session.commit()
    user = await session.get(User, login.user_id) if login else None
    if login is None or login.ended or login.expires <= now() or user is None or not user.active:
        raise refused(401, "this login is over: log in again")
    token = new_secret()
    login.before, login.token = shown, digest(token)
    return _pass(shared, login, token)


@router.delete("", status_code=204, responses=refusals(401))
async def log_out(who: Reader, session: Session) -> None:
    """End this login; its tokens are good for nothing any more."""
    if who.login_id and (login := await session.get(Login, who.login_id)):
        login.ended = now()


async def _logged_in(session: AsyncSession, shared: Shared, user: User) -> Pass:
    user.wrong, user.locked_until = 0, None
    token, lasts = new_secret(), timedelta(seconds=shared.settings.refresh_seconds)
    login = Login(user_id=user.id, token=digest(token), expires=now() + lasts)
    session.add(login)
    await session.flush()
    return _pass(shared, login, token)


def _refuse_locked(user: User | None, shared: Shared) -> None:
    if user and user.locked_until and user.locked_until > now():
        seconds = str(shared.settings.lockout_seconds)
        raise refused(429, "too many wrong passwords: wait a while", Retry_After=seconds)


def _note_wrong(user: User, shared: Shared) -> None:
    user.wrong += 1
    if user.wrong >= shared.settings.login_attempts:
        user.wrong, wait = 0, timedelta(seconds=shared.settings.lockout_seconds)
        user.locked_until = now() + wait


def _pass(shared: Shared, login: Login, token: str) -> Pass:
    access = shared.tokens.make(Claims(login.user_id, login.id))
    return Pass(access_token=access, expires_in=shared.tokens.seconds, refresh_token=token)
