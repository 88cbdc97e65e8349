"""Frames' results as they are tracked, over a WebSocket that is opened again where it breaks."""

from collections.abc import Iterator
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from contanos.client.answers import error_of
from contanos.client.connection import AGENT, PREFIX, Connection
from contanos.client.models import Dropped
from contanos.errors import MessageError, ServerFailed, TryLater, Unauthorised, Unreachable
from contanos.messages import SCHEMA, EndOfStream, FrameResult, decode

Live = FrameResult | Dropped | EndOfStream

_MOST = 64 << 20  # bytes of one message: a crowd in one frame
_UNWELCOME = 1008  # RFC 6455, section 7.4.1


def live_frames(connection: Connection, task_id: str, since: int | None) -> Iterator[Live]:
    """Frames, each once, and at last the end of the stream.

    Args:
        connection: to the server.
        task_id: of the task.
        since: the first frame that is wanted; None for the newest.

    Raises:
        ServerError: they may not be seen any more, or the server is away for too long.
    """
    patience = connection.patience()
    while True:
        try:
            with _opened(connection, task_id, since) as socket:
                for message in _messages(socket):
                    patience.renew()
                    since = _after(message, since)
                    yield message
                    if isinstance(message, EndOfStream):
                        return
        except (Unreachable, TryLater) as e:
            connection.wait(patience, e)


def _opened(connection: Connection, task_id: str, since: int | None) -> ClientConnection:
    query = "" if since is None else f"?since={since}"
    place = f"ws{connection.server.removeprefix('http')}{PREFIX}/tasks/{task_id}/frames/live"
    try:
        return connect(
            place + query,
            additional_headers=connection.shown,
            user_agent_header=AGENT,
            max_size=_MOST,
        )
    except InvalidStatus as e:
        answer = e.response
        told = answer.headers.get
        body = bytes(answer.body or b"")
        error = error_of(answer.status_code, body, told("Retry-After"), told("Location"))
        raise error from e
    except (InvalidHandshake, EOFError, OSError) as e:  # a TimeoutError is an OSError too
        raise connection.lost(e, heard=False) from e


def _messages(socket: ClientConnection) -> Iterator[Live]:
    """Until the connection is closed, which before the end of the stream is a fault."""
    while True:
        try:
            text = socket.recv()
        except ConnectionClosed as e:
            if e.rcvd and e.rcvd.code == _UNWELCOME:
                raise Unauthorised(e.rcvd.reason or "the server does not let us watch") from e
            raise Unreachable(f"the live stream broke: {e}") from e
        yield _read(text if isinstance(text, bytes) else text.encode())


def _read(text: bytes) -> Live:
    try:
        fields: dict[str, Any] = msgspec.json.decode(text)
        if fields.get("schema") == SCHEMA and "dropped" in fields:
            return msgspec.convert(fields, Dropped)
        return decode(text)
    except (MessageError, msgspec.MsgspecError, AttributeError) as e:
        raise ServerFailed(f"the server sends what is no frame: {e}") from e


def _after(message: Live, since: int | None) -> int | None:
    """The frame to go on with."""
    if isinstance(message, FrameResult):
        return message.frame_id + 1
    if isinstance(message, Dropped) and since is not None:
        return since + message.frames
    return since
