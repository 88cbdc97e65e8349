"""What routes ask for, by type: `user: Reader`, `session: Session`."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from video_analysis.backend.accounts.principal import Principal, Scope, scopes_of
from video_analysis.backend.accounts.secret import KEY_PREFIX, digest
from video_analysis.backend.accounts.tokens import BadToken
from video_analysis.backend.audit import audit
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import ApiKey, Login, User
from video_analysis.backend.problems import refused
from video_analysis.backend.reach import Reach
from video_analysis.backend.state import State

_BEARER = HTTPBearer(auto_error=False, description="An access token, or an API key.")
_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")
_NOTED = timedelta(seconds=60)  # a key's last use is not written more often


def state_of(request: Request) -> State:
    """What the application shares."""
    state: State = request.app.state.shared
    return state


Shared = Annotated[State, Depends(state_of)]


def _reach_of(request: Request) -> Reach:
    reach: Reach = request.app.state.reach
    return reach


Reaching = Annotated[Reach, Depends(_reach_of)]
"""Says what of the control plane's surroundings is reached."""


async def _session(shared: Shared, request: Request) -> AsyncIterator[AsyncSession]:
    """For a request that only asks, one that waits for no other."""
    asks = request.method in ("GET", "HEAD")
    open_one = shared.database.reading if asks else shared.database.transaction
    async with open_one() as session:
        yield session


# Committed before the answer is sent, so that nobody is told of what did not come to be.
Session = Annotated[AsyncSession, Depends(_session, scope="function")]


async def principal(
    connection: HTTPConnection,
    shared: Shared,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    key: Annotated[str | None, Depends(_KEY)],
) -> Principal:
    """Who makes this request; to be asked for before its session, so that no two wait for another.

    Raises:
        HTTPException: 401, nobody we know.
    """
    shown = key or (bearer.credentials if bearer else None)
    return await identified(connection, shared, shown)


async def identified(connection: HTTPConnection, shared: State, shown: str | None) -> Principal:
    """Who shows an access token or an API key; log lines and the audit know it from then on.

    Raises:
        HTTPException: 401, nobody we know.
    """
    if shown is None:
        raise _unknown("log in, or send an API key")
    by_key = shown.startswith(KEY_PREFIX)
    found = await (_by_key(connection, shared, shown) if by_key else _by_login(shared, shown))
    connection.state.user_id = found.user.id
    return found


async def _by_login(shared: State, shown: str) -> Principal:
    try:
        claims = shared.tokens.read(shown)
    except BadToken as e:
        raise _unknown(str(e)) from e
    asked = select(User, Login).where(
        Login.id == claims.login_id, Login.user_id == claims.user_id, User.id == Login.user_id
    )
    row = await shared.database.read(lambda session: session.execute(asked).one_or_none())
    if row is None or row.Login.ended or not row.User.active:
        raise _unknown("this login was ended: log in again")
    return Principal(row.User, scopes_of(row.User.role), login_id=row.Login.id)


async def _by_key(connection: HTTPConnection, shared: State, shown: str) -> Principal:
    asked = select(User, ApiKey).where(ApiKey.secret == digest(shown), User.id == ApiKey.user_id)
    row = await shared.database.read(lambda session: session.execute(asked).one_or_none())
    if row is None or not row.User.active:
        raise _unknown("no such API key: make one at /api/v1/keys")
    user, key = row.User, row.ApiKey
    if key.revoked or (key.expires and key.expires <= now()):
        raise _unknown("this API key was revoked, or has expired: make another one")
    connection.state.user_id = user.id
    if key.last_used is None or now() - key.last_used >= _NOTED:
        async with shared.database.transaction() as own:
            await _write_use(own, connection, key)
    allowed = {each for each in scopes_of(user.role) if each in key.scopes}
    return Principal(user, frozenset(allowed), key_id=key.id)


async def _write_use(session: AsyncSession, connection: HTTPConnection, key: ApiKey) -> None:
    """By one of many requests at once; the audit has it once in an hour of the clock, at most."""
    before = key.last_used
    same = ApiKey.last_used.is_(None) if before is None else ApiKey.last_used == before
    noting = update(ApiKey).where(ApiKey.id == key.id, same).values(last_used=now())
    done = await session.execute(noting.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    if done.rowcount and (before is None or _hour(before) != _hour(now())):
        await audit(session, connection, "key used", key.id)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


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


async def _owner(
    who: Reader,
    user: Annotated[
        str | None,
        Query(
            max_length=24,
            description="Another user's, for administrators.",
            examples=["7f83b1657ff1fc53b92dc181"],
        ),
    ] = None,
) -> str:
    if user not in (None, who.owner_id) and not who.may("admin"):
        raise refused(403, "user: only administrators see what others have")
    return user or who.owner_id


Owner = Annotated[str, Depends(_owner)]
"""The id of the user whose things are listed: one's own, or for administrators anybody's."""


def _unknown(why: str) -> Exception:
    return refused(401, why, WWW_Authenticate="Bearer")
