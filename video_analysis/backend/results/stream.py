"""Answers that are sent piece by piece, and end with whoever takes them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog
from anyio import CancelScope, fail_after
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contanos.errors import OutputError

PATIENCE = 60.0
"""Seconds for which a client may take nothing. A player that pauses asks again for the rest."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Body:
    """What is answered.

    Attributes:
        headers: `Content-Length` among them.
        pieces: the bytes.
        status: of the answer.
    """

    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]
    status: int = 200


class Streamed(Response):
    """An answer whose body is opened when it is sent, and closed whatever becomes of the client.

    What fails before the first byte is a refusal like any other.

    Args:
        body: gives what is answered.
        patience: seconds for which the client may take nothing.
    """

    def __init__(self, body: AbstractAsyncContextManager[Body], patience: float = PATIENCE) -> None:
        super().__init__()
        self._body = body
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with CancelScope() as sending:
            watching = asyncio.create_task(_until_gone(receive, sending))
            try:
                async with self._body as body:
                    await self._send(scope["method"], body, send)
            finally:
                watching.cancel()
        if self.background is not None:
            await self.background()

    async def _send(self, method: str, body: Body, send: Send) -> None:
        headers = [(name.lower().encode(), told.encode()) for name, told in body.headers.items()]
        await send({"type": "http.response.start", "status": body.status, "headers": headers})
        try:
            if method != "HEAD":
                async for piece in body.pieces:
                    await self._piece(send, piece)
        except TimeoutError:
            log.info("a client takes nothing any more")
        except (OutputError, FileNotFoundError) as e:
            log.warning("an answer was cut off", cause=str(e))
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _piece(self, send: Send, piece: bytes) -> None:
        with fail_after(self._patience):
            await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _until_gone(receive: Receive, sending: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()
