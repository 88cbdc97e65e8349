"""Requests in the words of ASGI: streams that do not end, and WebSockets, like any other."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI

from tests.backend.videos import Headers

_UPGRADED = 101


@dataclass
class Answer:
    """What came.

    Attributes:
        status: 101 for a WebSocket that was accepted.
        headers: their names in lower case.
        body: of a stream of events the first piece.
    """

    status: int = 0
    headers: Headers = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode(errors="replace")


async def ask(
    app: FastAPI, method: str, url: str, headers: Headers | None = None, body: bytes = b""
) -> Answer:
    """Ask, and go away once there is an answer.

    Args:
        app: whom.
        method: or `WEBSOCKET`.
        url: from the path on, escaped as it is sent.
        headers: of the request.
        body: of the request.
    """
    answer, gone = Answer(), asyncio.Event()
    told = iter([{"type": "http.request", "body": body}])

    async def receive() -> dict[str, Any]:
        if method == "WEBSOCKET" and not answer.status:
            return {"type": "websocket.connect"}
        if method != "WEBSOCKET" and (message := next(told, None)):
            return message
        await gone.wait()
        return {"type": "websocket.disconnect" if method == "WEBSOCKET" else "http.disconnect"}

    async def send(message: Any) -> None:
        kind = message["type"]
        if kind.endswith("response.start"):
            answer.status = message["status"]
            answer.headers = {name.decode(): told.decode() for name, told in message["headers"]}
        elif kind == "websocket.accept":
            answer.status = _UPGRADED
            gone.set()
        elif kind.endswith("response.body"):
            answer.body += message.get("body", b"")
            if "event-stream" in answer.headers.get("content-type", "") and answer.body:
                gone.set()

    async with asyncio.timeout(30):
        await app(_scope(method, url, headers or {}), receive, send)
    return answer


def _scope(method: str, url: str, headers: Headers) -> dict[str, Any]:
    path, _, query = url.partition("?")
    scope = {
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "path": unquote_to_bytes(path).decode(errors="surrogateescape"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), told.encode()) for name, told in headers.items()],
        "client": ("127.0.0.1", 5),
        "server": ("server", 80),
        "state": {},
    }
    if method == "WEBSOCKET":
        more = {"extensions": {"websocket.http.response": {}}, "subprotocols": []}
        return scope | {"type": "websocket", "scheme": "ws"} | more
    return scope | {"type": "http", "scheme": "http", "method": method}
