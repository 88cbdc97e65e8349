"""Tasks while they run: what changes, and their frames' results as they are tracked."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.tables import FINAL, TaskRow
from video_analysis.backend.deps import Reader, Shared, identified
from video_analysis.backend.live.connection import OURS, secret_of, serve_frames
from video_analysis.backend.live.events import task_events
from video_analysis.backend.problems import refusals, refused
from video_analysis.backend.routes.results import TaskId
from video_analysis.backend.state import State
from video_analysis.backend.tasks.ownership import readable_task

router = APIRouter(prefix="/tasks", tags=["live"])

_PING = 15  # seconds
_FIRST_EVENT = (
    "event: state\r\nid: running\r\n"
    'data: {"state":"running","reason":null,"cause":null,"created":"2026-11-24T05:00:00Z",'
    '"started":"2026-11-24T05:00:01Z","ended":null}\r\n\r\n'
)
_STREAM = {
    "schema": {"type": "string"},
    "itemSchema": {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"enum": ["state", "progress"]},
            "id": {"type": "string"},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
    },
    "example": _FIRST_EVENT,
}


@router.get(
    "/{task_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "Events.", "content": {"text/event-stream": _STREAM}},
        204: {"description": "You know all: come back no more."},
        **refusals(401, 403, 404),
    },
)
async def events(
    who: Reader,
    task_id: TaskId,
    shared: Shared,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=64,
            description="Sent by browsers on their own.",
            examples=["running"],
        ),
    ] = None,
) -> Response:
    """Server-sent events: `state` at the beginning and at every change, and `progress`.

    `progress` comes at most once a second. The stream ends after a final state.
    """
    row = await readable_task(shared, who, task_id)
    if row.state in FINAL and last_event_id == row.state:
        return Response(status_code=204)
    return EventSourceResponse(_events(shared, who, row), ping=_PING)


@router.websocket("/{task_id}/frames/live")
async def live_frames(
    socket: WebSocket,
    task_id: TaskId,
    since: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> None:
    """The frames' results as they are tracked, one message a frame; see `docs/messages.md`.

    Nothing is asked of a page's origin: a browser does not add what lets somebody in by itself.
    """
    state: State = socket.app.state.shared
    who = await _let_in(socket, state)
    row = await readable_task(state, who, task_id)
    await socket.accept(OURS if OURS in socket.scope["subprotocols"] else None)
    await serve_frames(socket, state, who, row, since)


async def _events(state: State, who: Principal, row: TaskRow) -> AsyncIterator[ServerSentEvent]:
    with state.live.meter.viewers.labels("events").track_inprogress():
        async with state.live.watcher.watching(row) as watch:
            async for event in task_events(state, who, watch):
                yield event


async def _let_in(socket: WebSocket, state: State) -> Principal:
    """Raises HTTPException, which before the handshake is an answer like any other."""
    who = await identified(socket, state, secret_of(socket))
    if not who.may("read"):
        raise refused(403, "this needs the scope 'read', which you do not have")
    return who
