"""HTTP connections that clients may not hold without asking anything."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
"""From the connection, or the end of the answer before, to the end of a request's headers."""


class BoundedH11(H11Protocol):
    """uvicorn waits for headers as long as a client sends a byte now and then; this does not.

    uvicorn drops what is idle between two requests by itself. What a client still sends of a
    request that was answered already is let pass for as long as headers are waited for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is waited for."""
        super().connection_made(transport)
        self._wait()

    def handle_events(self) -> None:
        """A request that has come whole is waited for no longer."""
        before = self.scope
        super().handle_events()
        if self.scope is not before:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The next one is waited for."""
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._giving_up = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
