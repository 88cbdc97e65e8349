"""Coming in and going out."""

from datetime import timedelta

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.accounts.lockout import counted, note_wrong, refuse_locked, refuse_while
from video_analysis.backend.accounts.passwords import MOST, matches
from video_analysis.backend.accounts.secret import digest, new_secret
from video_analysis.backend.accounts.tokens import Claims
from video_analysis.backend.audit import audit
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import Login, User, WrongLogins
from video_analysis.backend.deps import Reader, Session, Shared
from video_analysis.backend.http.address import network_of
from video_analysis.backend.http.buckets import Buckets
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
async def log_in(given: Credentials, request: Request, shared: Shared) -> Pass:
    """A name and a password for tokens.

    Too many wrong ones lock the name for a while, and for whoever sends them all names.
    """
    attempts: Buckets = request.app.state.login_attempts
    address, name = network_of(request), shared.tokens.veiled(given.name)
    refuse_while(attempts.take(address), "too many wrong passwords from your address")
    named = select(User).where(User.name == given.name)
    async with shared.database.reading() as session:
        known = await session.scalar(named)
        refuse_locked(await session.get(WrongLogins, name))
    # Hashing takes long, so nobody's changes wait for it.
    right = await matches(given.password, known.password if known else None)
    async with shared.database.transaction() as session:
        count = await counted(session, name)
        refuse_locked(count)
        user = await session.scalar(named)
        if user and user.active and right:
            attempts.give_back(address)
            await session.delete(count)
            return await _logged_in(session, request, shared, user)
        about = user.id if user else f"name {name[:16]}"
        await audit(session, request, "login refused", about)
        if note_wrong(count, shared.settings):
            await audit(session, request, "name locked", about)
    raise refused(401, "wrong name or password", WWW_Authenticate="Bearer")


@router.post("/refresh", responses=refusals(401))
async def refresh(given: Refresh, request: Request, session: Session, shared: Shared) -> Pass:
    """The next tokens. A refresh token that was used before ends the login: one was stolen."""
    shown = digest(given.refresh_token)
    login = await session.scalar(
        select(Login).where((Login.token == shown) | (Login.before == shown))
    )
    if login and login.token != shown and not login.ended:
        login.ended = now()
        await audit(session, request, "token stolen", login.id, login.user_id)
        await session.commit()
    user = await session.get(User, login.user_id) if login else None
    if login is None or login.ended or login.expires <= now() or user is None or not user.active:
        raise refused(401, "this login is over: log in again", WWW_Authenticate="Bearer")
    token = new_secret()
    login.before, login.token = shown, digest(token)
    return _pass(shared, login, token)


@router.delete("", status_code=204, responses=refusals(401))
async def log_out(who: Reader, request: Request, session: Session) -> None:
    """End this login; its tokens are good for nothing any more."""
    if who.login_id and (login := await session.get(Login, who.login_id)):
        login.ended = now()
        await audit(session, request, "logout", login.id)


async def _logged_in(session: AsyncSession, request: Request, shared: Shared, user: User) -> Pass:
    token, lasts = new_secret(), timedelta(seconds=shared.settings.refresh_seconds)
    login = Login(user_id=user.id, token=digest(token), expires=now() + lasts)
    session.add(login)
    await session.flush()
    await audit(session, request, "login", login.id, user.id)
    return _pass(shared, login, token)


def _pass(shared: Shared, login: Login, token: str) -> Pass:
    access = shared.tokens.make(Claims(login.user_id, login.id))
    return Pass(access_token=access, expires_in=shared.tokens.seconds, refresh_token=token)
