"""What comes with a request is bounded, and what goes through is not held."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse
from starlette.types import Message

from tests.backend.clients import ADMIN, Server
from tests.backend.surrounded import surrounded
from tests.backend.videos import UPLOADS, begin, send, send_form
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

LOGIN, MOST = "/api/v1/login", 4096


class Between:
    """Two ends that wait for each other; who held anything back would keep both waiting."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.router = APIRouter()
        self.router.post("/taken")(self.taken)
        self.router.get("/given")(self.given)

    async def taken(self, request: Request) -> int:
        total = 0
        async for piece in request.stream():
            total += len(piece)
            self.came.set()
        return total

    async def given(self) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            await self.came.wait()
            yield b"second"

        return StreamingResponse(body())


@pytest.fixture
def settings(settings: BackendSettings) -> BackendSettings:
    return settings.model_copy(update={"body_bytes": MOST})


async def pieces(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize("count", [4, 400])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_long_body_is_refused(server: Server, declared: bool, count: int) -> None:
    content = b" " * 1025 * count if declared else pieces(1025, count)
    kind = {"Content-Type": "application/json"}
    answer = await server.client.post(LOGIN, content=content, headers=kind)
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert str(MOST) in answer.json()["detail"]


@pytest.mark.parametrize("declared", [True, False])
async def test_as_much_as_may_come_is_read(server: Server, declared: bool) -> None:
    body = b'{"name": "root", "password": "%s"}' % ADMIN.password.encode()

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(MOST):
            yield body.ljust(MOST)[at : at + 1]

    kind = {"Content-Type": "application/json"}
    content = body.ljust(MOST) if declared else slowly()
    assert (await server.client.post(LOGIN, content=content, headers=kind)).status_code == 200


async def test_a_wrong_length_does_not_help(server: Server) -> None:
    """No server lets that through, but another one might."""
    kind = {"Content-Type": "application/json", "Content-Length": "10"}
    answer = await server.client.post(LOGIN, content=pieces(1000, 5), headers=kind)
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["from-url", "from-media", "tusk"])
async def test_only_uploads_may_be_long(server: Server, path: str) -> None:
    who = await server.log_in(ADMIN)
    answer = await server.client.post(f"{UPLOADS}/{path}", content=bytes(MOST + 1), headers=who)
    assert answer.status_code == 413


async def test_uploads_may_be_long(server: Server) -> None:
    who = await server.log_in(ADMIN)
    place = await begin(server.client, who, MOST * 3)
    assert (await send(server.client, who, place, 0, bytes(MOST * 2))).status_code == 204
    assert (await send_form(server.client, who, bytes(MOST * 2))).status_code == 201


async def test_a_body_that_does_not_come_is_not_waited_for(settings: BackendSettings) -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    hasty = settings.model_copy(update={"upload_idle_seconds": 0.3})
    async with surrounded(hasty) as app, asyncio.timeout(20):
        answer = await app.client.post(LOGIN, content=silent())
    assert answer.status_code == 408
    assert answer.headers["Connection"] == "close"


async def test_nothing_is_held_on_the_way_in(settings: BackendSettings) -> None:
    between = Between()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await between.came.wait()
        yield b"second"

    async with surrounded(settings, between.router) as app, asyncio.timeout(20):
        assert (await app.client.post("/taken", content=body())).json() == 11


async def test_nothing_is_held_on_the_way_out(settings: BackendSettings) -> None:
    """By the application itself: the client of these tests would wait for the end."""
    between, received = Between(), list[bytes]()
    asking = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not asking:
            await asyncio.Event().wait()
        return asking.pop()

    async def send(message: Message) -> None:
        if piece := message.get("body"):
            received.append(piece)
            between.came.set()

    scope = {"type": "http", "method": "GET", "path": "/given", "raw_path": b"/given"}
    scope |= {"headers": [], "query_string": b"", "client": ("127.0.0.1", 5), "root_path": ""}
    async with surrounded(settings, between.router) as app, asyncio.timeout(20):
        application = app.client._transport.app  # type: ignore[attr-defined]
        await application(scope | {"scheme": "http"}, receive, send)
    assert received == [b"first", b"second"]
