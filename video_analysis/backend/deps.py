"""What routes ask for, by type: `user: Reader`, `session: Session`."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.accounts.principal import Principal, Scope, scopes_of
from video_analysis.backend.accounts.secret import KEY_PREFIX, digest
from video_analysis.backend.accounts.tokens import BadToken
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import ApiKey, Login, User
from video_analysis.backend.problems import refused
from video_analysis.backend.state import State

_BEARER = HTTPBearer(auto_error=False, description="An access token, or an API key.")
_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")
_NOTED = timedelta(seconds=60)  # a key's last use is not written more often


def state_of(request: Request) -> State:
    """What the application shares."""
    state: State = request.app.state.shared
    return state


Shared = Annotated[State, Depends(state_of)]


async def _session(shared: Shared, request: Request) -> AsyncIterator[AsyncSession]:
    """For a request that only asks, one that waits for no other."""
    asks = request.method in ("GET", "HEAD")
    open_one = shared.database.reading if asks else shared.database.transaction
    async with open_one() as session:
        yield session


# Committed before the answer is sent, so that nobody is told of what did not come to be.
Session = Annotated[AsyncSession, Depends(_session, scope="function")]


async def principal(
    shared: Shared,
    session: Session,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    key: Annotated[str | None, Depends(_KEY)],
) -> Principal:
    """Who makes this request.

    Raises:
        HTTPException: 401, nobody we know.
    """
    shown = key or (bearer.credentials if bearer else None)
    if shown is None:
        raise _unknown("log in, or send an API key")
    if shown.startswith(KEY_PREFIX):
        return await _by_key(shared, session, shown)
    try:
        claims = shared.tokens.read(shown)
    except BadToken as e:
        raise _unknown(str(e)) from e
    login = await session.get(Login, claims.login_id)
    user = await session.get(User, claims.user_id)
    if login is None or login.ended or user is None or not user.active:
        raise _unknown("this login was ended: log in again")
    return Principal(user, scopes_of(user.role), login_id=login.id)


async def _by_key(shared: State, session: AsyncSession, shown: str) -> Principal:
    key = await session.scalar(select(ApiKey).where(ApiKey.secret == digest(shown)))
    user = await session.get(User, key.user_id) if key else None
    if key is None or user is None or not user.active:
        raise _unknown("no such API key: make one at /api/v1/keys")
    if key.revoked or (key.expires and key.expires <= now()):
        raise _unknown("this API key was revoked, or has expired: make another one")
    if key.last_used is None or now() - key.last_used > _NOTED:
        await _note_use(shared, session, key)
    allowed = {each for each in scopes_of(user.role) if each in key.scopes}
    return Principal(user, frozenset(allowed), key_id=key.id)


async def _note_use(shared: State, session: AsyncSession, key: ApiKey) -> None:
    if session.info.get("reads"):
        async with shared.database.transaction() as own:
            await own.execute(update(ApiKey).where(ApiKey.id == key.id).values(last_used=now()))
    else:
        key.last_used = now()


def allowed(scope: Scope) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """A dependency: somebody who may do that.

    Raises:
        HTTPException: 403, they may not, whatever it is about.
    """

    async def check(who: Annotated[Principal, Depends(principal)]) -> Principal:
        if not who.may(scope):
            raise refused(403, f"this needs the scope {scope!r}, which you do not have")
        return who

    return check


Reader = Annotated[Principal, Depends(allowed("read"))]
Writer = Annotated[Principal, Depends(allowed("write"))]
Admin = Annotated[Principal, Depends(allowed("admin"))]


def _streaming(scope: Scope) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Ends the request's transaction, so that nobody's changes wait for what takes long."""

    async def release(
        who: Annotated[Principal, Depends(allowed(scope))], session: Session
    ) -> Principal:
        await session.commit()
        return who

    return release


Streamer = Annotated[Principal, Depends(_streaming("write"))]
"""Somebody who may write, in a request that takes long and makes its own transactions."""

AdminStreamer = Annotated[Principal, Depends(_streaming("admin"))]
"""An administrator, likewise."""


def _unknown(why: str) -> Exception:
    return refused(401, why, WWW_Authenticate="Bearer")
