"""How many requests a user, or an address while nobody is known, may make in a minute."""

import math
from collections import OrderedDict

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_analysis.backend.accounts.secret import KEY_PREFIX, digest
from video_analysis.backend.accounts.tokens import BadToken, Tokens
from video_analysis.backend.http.address import network_of
from video_analysis.backend.http.buckets import Buckets
from video_analysis.backend.http.paths import PROBES
from video_analysis.backend.problems import problem

_KEYS = 20_000  # API keys whose users are remembered
_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class RateLimit:
    """Refuses requests of those who make too many.

    An access token says whose it is. An API key does not: until it has let somebody in, its
    requests count for their address, as those with no or a wrong one do.

    Args:
        app: the application.
        buckets: one for each user or address.
        tokens: reads access tokens.
    """

    def __init__(self, app: ASGIApp, buckets: Buckets, tokens: Tokens) -> None:
        self._app = app
        self._buckets = buckets
        self._tokens = tokens
        self._users: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        shown = _shown(Headers(scope=scope))
        wait = self._buckets.take(self._payer(HTTPConnection(scope), shown))
        if wait:
            await _refuse(scope, receive, send, math.ceil(wait))
            return

        async def learning(message: Message) -> None:
            if message["type"] in _STARTS and shown.startswith(KEY_PREFIX):
                self._learn(digest(shown), scope["state"].get("user_id"))
            await send(message)

        await self._app(scope, receive, learning)

    def _payer(self, connection: HTTPConnection, shown: str) -> str:
        known = self._user_of(shown) if shown else None
        return f"user {known}" if known else f"address {network_of(connection)}"

    def _user_of(self, shown: str) -> str | None:
        if shown.startswith(KEY_PREFIX):
            return self._users.get(digest(shown))
        try:
            return self._tokens.read(shown).user_id
        except BadToken:
            return None

    def _learn(self, key: str, user_id: str | None) -> None:
        """A key that lets nobody in any more is forgotten."""
        self._users.pop(key, None)
        if user_id:
            self._users[key] = user_id
        if len(self._users) > _KEYS:
            self._users.popitem(last=False)


def _shown(headers: Headers) -> str:
    """As `deps.principal` has it: a key comes before a bearer token."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return headers.get("X-API-Key") or (token.strip() if kind.lower() == "bearer" else "")


async def _refuse(scope: Scope, receive: Receive, send: Send, seconds: int) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get(
        "extensions", {}
    ):
        await send({"type": "websocket.close", "code": 1013})  # try again later
        return
    why = f"too many requests: go on in {seconds} s"
    refusal = problem(HTTPConnection(scope), 429, why, {"Retry-After": str(seconds)})
    await refusal(scope, receive, send)
