"""Answers what nobody expected, so that one request fails and no other."""

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_analysis.backend.http.paths import template_of
from video_analysis.backend.problems import unexpected

log = structlog.get_logger(__name__)


class Surprises:
    """The log has the cause, with the request's id.

    It stands inside of everything else that surrounds a request: the framework's own answer to
    errors is made outside of it all, and would lack what every answer has.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on.

        Raises:
            Exception: an answer broke off in the middle, so that the connection must be closed.
        """
        begun = scope["type"] != "http"

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            log.exception("a request failed", route=template_of(scope))
            if begun:
                raise
            await unexpected(HTTPConnection(scope))(scope, receive, send)
