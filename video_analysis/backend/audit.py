"""The audit log: who did what, written in the same transaction as the deed."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from video_analysis.backend.database.tables import Audit
from video_analysis.backend.http.address import address_of

What = Literal[
    "login",
    "login refused",
    "name locked",
    "logout",
    "token stolen",
    "password changed",
    "password change refused",
    "key made",
    "key used",
    "key revoked",
    "account made",
    "account changed",
    "upload deleted",
    "task deleted",
]

_ABOUT, _ADDRESS = 128, 64  # characters


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a deed comes from; kept by whoever does it after the request is over.

    Attributes:
        user_id: who; None as long as nobody is known.
        address: where the request came from.
        request_id: that its log lines carry too.
    """

    user_id: str | None = None
    address: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Origin":
        """Of a request, once `deps.principal` knows who makes it."""
        state = connection.state
        return cls(
            getattr(state, "user_id", None),
            address_of(connection) or None,
            getattr(state, "request_id", None),
        )


async def audit(
    session: AsyncSession,
    by: HTTPConnection | Origin,
    what: What,
    about: str | None = None,
    user_id: str | None = None,
) -> None:
    """Write down a deed; it counts once the session's transaction does.

    Args:
        session: that the deed is done in.
        by: the request, or where it came from.
        what: was done.
        about: id of the thing; never what a client typed.
        user_id: who, where the request does not know.
    """
    origin = by if isinstance(by, Origin) else Origin.of(by)
    row = {
        "user_id": user_id or origin.user_id,
        "what": what,
        "about": about and about[:_ABOUT],
        "address": origin.address and origin.address[:_ADDRESS],
        "request_id": origin.request_id,
    }
    await session.execute(insert(Audit).values(row))
