"""Requests as no well-behaved client sends them, over real sockets."""

import asyncio
import itertools
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, WebSocket
from sse_starlette import EventSourceResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from contanos.service import patience
from contanos.service.address import Address
from contanos.service.server import Server, Site
from tests.backend.clients import quiet_desk
from tests.backend.live import LiveServer
from video_analysis.backend.app import control_app
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State

HEALTH, LOGIN = "/api/v1/health", "/api/v1/login"
MOST = 100_000


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder: Path = tmp_path_factory.mktemp("live")
    limits = {"body_bytes": MOST, "upload_idle_seconds": 1, "requests_a_minute": 60}
    with LiveServer(folder / "data", **limits) as server:
        yield server


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def told(connection: socket.socket) -> bytes:
    """All that the server sends."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def answer_to(live: LiveServer, request: bytes) -> bytes:
    with connect(live.port) as connection:
        connection.sendall(request)
        return told(connection)


def get(*headers: bytes) -> bytes:
    lines = [f"GET {HEALTH} HTTP/1.1".encode(), b"Host: here", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", b""])


def post(*headers: bytes) -> bytes:
    kind = b"Content-Type: application/json"
    return get(kind, *headers).replace(f"GET {HEALTH}".encode(), f"POST {LOGIN}".encode())


@pytest.mark.parametrize(
    "told_id",
    [
        b"a\rSet-Cookie: evil=1",
        b"a\nSet-Cookie: evil=1",
        b"a%0d%0aSet-Cookie:%20evil=1",
        b"a\r\n Set-Cookie: evil=1",
        b"a\x0bSet-Cookie: evil=1",
        b"\xc4\x8dSet-Cookie: evil=1",
        b"a\x00Set-Cookie: evil=1",
    ],
)
def test_an_id_puts_nothing_into_the_answer(live: LiveServer, told_id: bytes) -> None:
    answer = answer_to(live, get(b"X-Request-ID: " + told_id))
    head = answer.partition(b"\r\n\r\n")[0]
    assert b"evil" not in head
    if b" 200 " in head.splitlines()[0]:
        assert re.search(rb"(?m)^x-request-id: ([0-9a-f]{16}|a)\r?$", head)


def test_answers_do_not_say_what_serves_them(live: LiveServer) -> None:
    for path in (HEALTH, "/nowhere", "/api/v1/users/me"):
        assert "server" not in httpx.get(live.url + path).headers


def test_headers_that_are_too_long_are_refused(live: LiveServer) -> None:
    try:
        answer = answer_to(live, get(b"X-Long: " + b"x" * 10_000_000))
    except OSError:  # it did not read all of it
        answer = b""
    assert b" 200 " not in answer
    assert httpx.get(live.url + HEALTH).status_code == 200


def test_a_declared_length_is_refused_before_it_comes(live: LiveServer) -> None:
    with connect(live.port) as connection:
        connection.sendall(
            post(b"Content-Length: 10000000000").replace(b"Connection: close\r\n", b"")
        )
        answer = connection.recv(65_536)
    assert b" 413 " in answer.splitlines()[0]


def test_a_body_without_a_length_is_cut_off(live: LiveServer) -> None:
    """Its client reads why though it goes on sending."""
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    with connect(live.port) as connection:
        connection.sendall(post(b"Transfer-Encoding: chunked") + piece * 5)
        answer = connection.recv(65_536)
    assert b" 413 " in answer.splitlines()[0]


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(live: LiveServer) -> None:
    began = time.monotonic()
    with connect(live.port) as connection:
        connection.sendall(post(b"Content-Length: 1000"))
        connection.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - began < 20:
            connection.sendall(b" ")
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
    assert b" 408 " in answer.splitlines()[0]
    assert time.monotonic() - began < 15


def test_what_peers_say_of_their_address_is_not_believed(live: LiveServer) -> None:
    """Not even on the same machine, as uvicorn by itself would."""
    statuses = set()
    with httpx.Client() as client:
        for i in range(90):
            headers = {"X-Forwarded-For": f"192.0.2.{i}"}
            statuses.add(client.get(f"{live.api}/users/me", headers=headers).status_code)
    assert statuses == {401, 429}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server that services run, with half a second for headers."""
    monkeypatch.setattr(patience, "HEADER_SECONDS", 0.5)

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(1.0 if scope["path"] == "/slow" else 0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    server = Server([Site(app, Address("127.0.0.1", 0))])
    server.start()
    yield server
    server.stop()


def test_headers_that_come_byte_by_byte_are_not_waited_for(hasty: Server) -> None:
    began = time.monotonic()
    with connect(hasty.addresses[0].port) as slow, connect(hasty.addresses[0].port) as fast:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        fast.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert b"done" in told(fast)
        ended = False
        while not ended and time.monotonic() - began < 20:
            try:
                slow.sendall(b"x")
                slow.settimeout(0.05)
                ended = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
    assert ended
    assert time.monotonic() - began < 10


def test_a_second_request_is_not_waited_for_either(hasty: Server) -> None:
    with connect(hasty.addresses[0].port) as connection:
        began = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\nGET / HT")
        assert told(connection).count(b"done") == 1
    assert time.monotonic() - began < 4, "uvicorn alone would wait for ever"


def test_who_has_asked_may_wait_and_send_for_long(hasty: Server) -> None:
    head = b"POST /slow HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 8\r\n\r\n"
    with connect(hasty.addresses[0].port) as connection:
        connection.sendall(head)
        for _ in range(8):
            time.sleep(0.1)
            connection.sendall(b"x")
        assert b"done" in told(connection)


@pytest.fixture
def talking(settings: BackendSettings) -> Iterator[Server]:
    """A control plane with two conversations besides, where everybody may begin three."""
    router = APIRouter()

    @router.websocket("/echo/{room}")
    async def echo(connection: WebSocket, room: str) -> None:
        await connection.accept()
        async for text in connection.iter_text():
            await connection.send_text(f"{room} {text}")

    @router.get("/counting")
    async def counting() -> EventSourceResponse:
        async def numbers() -> AsyncIterator[dict[str, str]]:
            for number in itertools.count():
                yield {"data": str(number)}
                await asyncio.sleep(0.01)

        return EventSourceResponse(numbers())

    few = settings.model_copy(update={"requests_a_minute": 3})
    app = control_app(State.of(few, quiet_desk()))
    app.include_router(router)
    server = Server([Site(app, Address("127.0.0.1", 0))])
    server.start()
    yield server
    server.stop()


def test_conversations_are_let_through_and_counted_once(talking: Server) -> None:
    url = f"ws://127.0.0.1:{talking.addresses[0].port}/echo/hall"
    asked = {"X-Request-ID": "talk"}
    for _ in range(3):
        with websocket(url, additional_headers=asked) as connection:
            assert connection.response
            assert connection.response.headers["X-Request-ID"] == "talk"
            for i in range(20):
                connection.send(str(i))
                assert connection.recv(timeout=20) == f"hall {i}"
    with pytest.raises(InvalidStatus) as refused:
        websocket(url, additional_headers=asked).close()
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["Retry-After"]) <= 20
    assert refused.value.response.headers["X-Request-ID"] == "talk"


def test_events_come_as_they_happen(talking: Server) -> None:
    url = f"http://127.0.0.1:{talking.addresses[0].port}/counting"
    with httpx.stream("GET", url, timeout=20) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data:"))
        assert list(itertools.islice(lines, 50)) == [f"data: {i}" for i in range(50)]
