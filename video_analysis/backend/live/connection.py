"""A viewer's WebSocket, from the handshake to its end."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from fastapi import WebSocket, WebSocketDisconnect

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.live.standing import until_unwelcome
from video_analysis.backend.live.viewer import Viewer
from video_analysis.backend.state import State

OURS = "contanos"
"""The subprotocol that we speak."""

_PATIENCE = 30.0  # seconds for which a client may take nothing
_FAREWELL = 2.0  # seconds for saying why

_DONE, _GOING_AWAY, _UNWELCOME = 1000, 1001, 1008

log = structlog.get_logger(__name__)


class Close(NamedTuple):
    """Why a connection is closed; RFC 6455, section 7.4.1."""

    code: int
    reason: str


def secret_of(socket: WebSocket) -> str | None:
    """The access token or API key that a client shows.

    In a header; or, as browsers let pages set none, beside our subprotocol's name.
    """
    kind, _, token = socket.headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if kind.lower() == "bearer" else None
    offered: list[str] = socket.scope["subprotocols"]
    beside = offered[1] if len(offered) == 2 and offered[0] == OURS else None
    return socket.headers.get("X-API-Key") or bearer or beside


async def serve_frames(
    socket: WebSocket, state: State, who: Principal, row: TaskRow, since: int | None
) -> None:
    """Send a task's frames over a WebSocket that was accepted, and close it."""
    meter = state.live.meter
    with meter.viewers.labels("frames").track_inprogress():
        async with state.live.hub(row) as hub:
            viewer = Viewer(hub, since, lambda text: _send(socket, text), meter)
            close = await _first_of(
                _to_the_end(viewer),
                _until_gone(socket),
                _until_unwelcome(state, who, row.id),
                _until_stopped(state),
            )
        if close:
            await _say(socket, close)


async def _to_the_end(viewer: Viewer) -> Close | None:
    try:
        await viewer.run()
    except TimeoutError:
        log.info("a viewer took nothing and was let go", seconds=_PATIENCE)
        return None
    except WebSocketDisconnect:
        return None
    return Close(_DONE, "the stream has ended")


async def _until_gone(socket: WebSocket) -> None:
    """What a client says is of no interest, but that it leaves is."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


async def _until_unwelcome(state: State, who: Principal, task_id: str) -> Close:
    return Close(_UNWELCOME, await until_unwelcome(state, who, task_id))


async def _until_stopped(state: State) -> Close:
    await state.live.stopped.wait()
    return Close(_GOING_AWAY, "the server stops")


async def _first_of(*ways: Coroutine[Any, Any, Close | None]) -> Close | None:
    """What the first of them returns that does; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(socket: WebSocket, text: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        await socket.send_text(text)


async def _say(socket: WebSocket, close: Close) -> None:
    with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # who is gone needs no reason
        async with asyncio.timeout(_FAREWELL):
            await socket.close(*close)
