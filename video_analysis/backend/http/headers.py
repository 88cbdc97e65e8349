"""Headers that keep browsers from doing with our answers what nobody asked them to."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_analysis.backend.http.paths import DOCS

_CDN = "https://cdn.jsdelivr.net"
_API = "default-src 'none'; frame-ancestors 'none'"
_PAGES = "; ".join(
    [
        _API,
        f"script-src 'unsafe-inline' {_CDN}",
        f"style-src 'unsafe-inline' {_CDN} https://fonts.googleapis.com",
        "font-src https://fonts.gstatic.com",
        "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly",
        "worker-src blob:",
        "connect-src 'self'",
    ]
)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_YEAR = "max-age=31536000"


class SecurityHeaders:
    """Adds what an answer does not have yet.

    Args:
        app: the application.
        production: whether browsers are to come by TLS only, for a year.
    """

    def __init__(self, app: ASGIApp, production: bool) -> None:
        self._app = app
        self._added = _ALWAYS | ({"Strict-Transport-Security": _YEAR} if production else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def safer(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                self._add(message, scope["path"])
            await send(message)

        await self._app(scope, receive, safer)

    def _add(self, message: Message, path: str) -> None:
        message.setdefault("headers", [])
        headers = MutableHeaders(scope=message)
        for name, value in self._added.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", _PAGES if path in DOCS else _API)
