"""Which pages of other origins may call, and which hosts are answered."""

import pytest

from tests.backend.clients import ADMIN, Server
from tests.backend.surrounded import surrounded
from tests.backend.videos import TUS, VERSION, begin, send
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

PAGE = {"Origin": "https://app.example.org"}
PREFLIGHT = PAGE | {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization,content-type,tus-resumable,upload-offset",
}


@pytest.fixture
def settings(settings: BackendSettings) -> BackendSettings:
    return settings.model_copy(update={"cors_origins": ("https://app.example.org",)})


async def test_pages_of_others_are_let_do_nothing(server: Server) -> None:
    stranger = PREFLIGHT | {"Origin": "https://app.example.org.evil.net"}
    refused = await server.client.options(f"{TUS}/x", headers=stranger)
    assert refused.status_code == 400
    assert "Access-Control-Allow-Origin" not in refused.headers
    read = await server.client.get("/api/v1/health", headers={"Origin": "null"})
    assert "Access-Control-Allow-Origin" not in read.headers


async def test_by_default_there_are_no_others(settings: BackendSettings) -> None:
    async with surrounded(settings.model_copy(update={"cors_origins": ()})) as app:
        for method, path in [("OPTIONS", f"{TUS}/x"), ("OPTIONS", TUS), ("GET", "/api/v1/health")]:
            answer = await app.client.request(method, path, headers=PREFLIGHT)
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_page_uploads_by_tus(server: Server) -> None:
    asked = await server.client.options(f"{TUS}/x", headers=PREFLIGHT)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    who = await server.log_in(ADMIN) | PAGE
    place = await begin(server.client, who, 10)
    sent = await send(server.client, who, place, 0, b"x" * 5)
    assert sent.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    read = sent.headers["Access-Control-Expose-Headers"].lower().split(", ")
    told = {"upload-offset", "upload-expires", "tus-resumable", "x-request-id"}
    assert told <= set(read)
    assert told <= set(sent.headers)
    assert {"location", "upload-length", "retry-after", "content-range"} <= set(read)


async def test_what_tus_offers_is_told_to_pages_and_to_programs(server: Server) -> None:
    """An `OPTIONS` that is no preflight is the protocol's own."""
    for headers in (PAGE, {}):
        offered = await server.client.options(TUS, headers=headers | VERSION)
        assert offered.status_code == 204
        assert "creation" in offered.headers["Tus-Extension"]
        assert ("Access-Control-Allow-Origin" in offered.headers) == bool(headers)
        assert offered.headers["Tus-Max-Size"]


async def test_a_page_reads_why_it_was_refused(server: Server) -> None:
    for headers in (PAGE, PAGE | {"Content-Length": "99999999999"}):
        answer = await server.client.put("/api/v1/users/me/password", headers=headers)
        assert answer.status_code in (401, 413, 422)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"


async def test_hosts_may_be_named(settings: BackendSettings) -> None:
    named = settings.model_copy(update={"allowed_hosts": ("video.example.org", "*.lab")})
    async with surrounded(named) as app:
        for host, status in {"video.example.org:8000": 200, "a.lab": 200, "evil.net": 400}.items():
            answer = await app.client.get("/api/v1/health", headers={"Host": host})
            assert answer.status_code == status
            assert answer.headers["X-Request-ID"]
