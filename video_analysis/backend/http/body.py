"""Bounds what comes with requests that are no uploads."""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_analysis.backend.http.paths import takes_upload
from video_analysis.backend.problems import problem, refused

_DIGITS = 18  # of a length; more are too many bytes for anybody


class BodyLimit:
    """Refuses bodies that are too long, by their declared length, or once too much has come.

    Nothing is kept: whoever reads the body gets it as it comes.

    Args:
        app: the application.
        most: bytes of a body.
        seconds: within which it must have come.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or takes_upload(scope["path"]):
            await self._app(scope, receive, send)
        elif _declared(scope) > self._most:
            refusal = problem(HTTPConnection(scope), 413, _too_long(self._most))
            await refusal(scope, receive, send)
        else:
            await self._app(scope, _Measured(receive, self._most, self._seconds), send)


class _Measured:
    """A body as it comes, up to a bound. The application turns what is raised into an answer."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive = receive
        self._most = most
        self._seconds = seconds
        self._deadline: float | None = None
        self._came = 0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # whoever waits now waits for the client to go away
            return await self._receive()
        message = await self._timely()
        self._came += len(message.get("body", b""))
        if self._came > self._most:
            raise refused(413, _too_long(self._most))
        self._whole = not message.get("more_body", False)
        return message

    async def _timely(self) -> Message:
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError as e:
            why = f"the body did not come within {self._seconds:g} s"
            raise refused(408, why, Connection="close") from e


def _declared(scope: Scope) -> int:
    """Bytes; 0 where the client does not say."""
    told = Headers(scope=scope).get("Content-Length", "")
    return int(told[:_DIGITS]) if told.isdecimal() else 0


def _too_long(most: int) -> str:
    return f"the body is longer than {most} bytes; only uploads may be"
