"""Ids, log lines and headers that every request has, however it ends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import jsonschema
import pytest
import structlog
from fastapi import APIRouter, HTTPException
from starlette.responses import StreamingResponse

from tests.backend.clients import ADMIN, Server
from tests.backend.surrounded import surrounded
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

ME = "/api/v1/users/me"

router = APIRouter()


@router.get("/things/{thing}")
async def thing(thing: str) -> str:
    structlog.get_logger().info("looking", thing=thing)
    await asyncio.to_thread(structlog.get_logger().info, "looking elsewhere")
    return thing


@router.get("/surprise")
async def surprise() -> None:
    raise RuntimeError("the secret cause")


@router.get("/refusal")
async def refusal() -> None:
    raise HTTPException(404, "nothing here")


@router.get("/kept")
async def kept() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    return StreamingResponse(pieces(), headers={"Cache-Control": "max-age=60"})


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as found:
        yield found  # type: ignore[misc]


@pytest.fixture
async def app(settings: BackendSettings) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(surrounded(settings, router))


@pytest.mark.parametrize("told", ["a", "7.f_3-Z", "x" * 64])
async def test_a_harmless_id_is_kept(app: Server, told: str) -> None:
    answer = await app.client.get("/refusal", headers={"X-Request-ID": told})
    assert answer.headers.get_list("X-Request-ID") == [told]
    assert answer.json()["request_id"] == told


@pytest.mark.parametrize("told", ["", " ", "x" * 65, "a b", "a,b", "<script>", "é", "a=b", 'a"b'])
async def test_another_id_is_replaced(app: Server, told: str) -> None:
    answer = await app.client.get("/refusal", headers={"X-Request-ID": told.encode()})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-ID"])


async def test_every_line_of_a_request_has_its_id_and_no_other_line(
    app: Server, lines: list[dict[str, Any]]
) -> None:
    async def ask(name: str) -> None:
        await app.client.get(f"/things/{name}", headers={"X-Request-ID": name})

    await asyncio.gather(*(ask(f"r{i}") for i in range(20)))
    structlog.get_logger().info("afterwards")
    for i in range(20):
        mine = [each["event"] for each in lines if each.get("request_id") == f"r{i}"]
        assert mine == ["looking", "looking elsewhere", "request"]
    assert "request_id" not in lines[-1]


async def test_one_line_says_what_was_asked_and_nothing_that_was_told(
    app: Server, lines: list[dict[str, Any]]
) -> None:
    who = await app.log_in(ADMIN)
    mine = (await app.client.get(ME, headers=who)).json()["id"]
    path = "/api/v1/uploads/0123456789abcdef?token=hidden-word"
    await app.client.get(path, headers=who)
    await app.client.get("/no/such/hidden-word")
    found = [each for each in lines if each["event"] == "request"]
    assert [(each["method"], each["route"], each["status"], each["user_id"]) for each in found] == [
        ("POST", "/api/v1/login", 200, None),
        ("GET", "/api/v1/users/me", 200, mine),
        ("GET", "/api/v1/uploads/{upload_id}", 404, mine),
        ("GET", "-", 404, None),
    ]
    assert {each["log_level"] for each in found} == {"info"}
    assert all(each["ms"] >= 0 for each in found)
    for secret in ("hidden-word", "0123456789abcdef", ADMIN.password, who["Authorization"][7:]):
        assert secret not in str(lines)


async def test_a_surprise_is_logged_and_not_told(app: Server, lines: list[dict[str, Any]]) -> None:
    answer = await app.client.get("/surprise", headers={"X-Request-ID": "seven"})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == "seven"
    assert "secret" not in answer.text
    failed, request = lines[-2:]
    assert (failed["event"], failed["request_id"]) == ("a request failed", "seven")
    assert failed["exc_info"]
    assert (request["route"], request["status"]) == ("/surprise", 500)


@pytest.mark.parametrize("path", ["/things/x", "/surprise", "/refusal", "/nowhere", ME, "/docs"])
async def test_every_answer_is_safe_in_a_browser(app: Server, path: str) -> None:
    headers = (await app.client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'; frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert ("script-src" in headers["Content-Security-Policy"]) == (path == "/docs")
    assert "Strict-Transport-Security" not in headers


async def test_an_answer_may_say_itself_how_it_is_cached(app: Server) -> None:
    assert (await app.client.get("/kept")).headers["Cache-Control"] == "max-age=60"


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_the_pages_load_nothing_that_their_policy_forbids(app: Server, page: str) -> None:
    shown = await app.client.get(page)
    policy = shown.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="(https://[^/"]+)', shown.text)
    assert loaded
    assert not [each for each in loaded if each not in policy]


async def test_refusals_are_described_as_they_are_made(app: Server) -> None:
    document = (await app.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert used <= set(schemas)
    refusal = (await app.client.get(ME)).json()
    jsonschema.validate(refusal, schemas["ProblemDetails"])
    assert set(refusal) == set(schemas["ProblemDetails"]["properties"])
    for path, methods in document["paths"].items():
        for method in methods.values() if path.startswith("/api/v1/") else ():
            for status in ("413", "422", "429"):
                assert "application/problem+json" in method["responses"][status]["content"], path


async def test_production_asks_for_tls_and_has_no_pages(settings: BackendSettings) -> None:
    real = settings.model_copy(update={"production": True})
    async with surrounded(real) as app:
        answer = await app.client.get("/api/v1/health")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        for page in ("/docs", "/redoc", "/docs/oauth2-redirect"):
            assert (await app.client.get(page)).status_code == 404
        assert (await app.client.get("/openapi.json")).status_code == 200
