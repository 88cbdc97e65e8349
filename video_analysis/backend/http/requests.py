"""Gives every request an id, and writes one line about it once it is over."""

import re
import time
from secrets import token_hex

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_analysis.backend.http.paths import template_of

HEADER = "X-Request-ID"

_OURS = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHOD = 16  # characters of it that are logged: a client may call it what it likes

log = structlog.get_logger(__name__)


class Requests:
    """The id is the client's where it is harmless, in the answer, and in all log lines meanwhile.

    The line has nothing of the client's own words: no path as it was sent, no query, no header.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        line = _Line(scope)

        async def marked(message: Message) -> None:
            if line.note(message):
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, marked)
            finally:
                line.write()


def request_id_of(headers: Headers) -> str:
    """The client's own, or a new one."""
    told = headers.get(HEADER, "")
    return told if _OURS.fullmatch(told) else token_hex(8)


class _Line:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._began = time.monotonic()
        self._status: int | None = None

    def note(self, message: Message) -> bool:
        """Whether it begins an answer."""
        kind: str = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._status = message["status"]
        elif kind == "websocket.accept":
            self._status = 101
        elif kind == "websocket.close" and self._status is None:
            self._status = 403  # what servers make of it
        return kind.endswith(("response.start", ".accept"))

    def write(self) -> None:
        """No status means that the client did not wait for one."""
        log.info(
            "request",
            method=self._scope.get("method", "WEBSOCKET")[:_METHOD],
            route=template_of(self._scope),
            status=self._status,
            ms=round((time.monotonic() - self._began) * 1000, 1),
            user_id=self._scope["state"].get("user_id"),
        )
