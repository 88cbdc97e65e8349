"""Who somebody says they are, and ways around who may."""

import base64
import json
from typing import Any

import jwt
import pytest

from tests.backend.asked import ask
from tests.backend.attacked import API, Target, either, kept, refused, result_folder, target
from tests.backend.belongings import (
    ADMIN,
    OTHER,
    OWNER,
    id_of,
    key_of,
)
from tests.backend.videos import BYTES, TUS, VERSION

__all__ = ["either", "result_folder", "target"]

pytestmark = pytest.mark.anyio


def forged(target: Target) -> dict[str, str]:
    """Tokens that are none of ours, or not what they were."""
    true = target.as_(OWNER.name)["Authorization"].removeprefix("Bearer ")
    head, said, signature = true.split(".")
    claims = jwt.decode(true, options={"verify_signature": False})
    admin = {"sub": id_of(f"user {ADMIN}"), "login": id_of(f"login {ADMIN}")}
    key = "another key that is as long as ours, or longer"
    ours = target.server.state.settings.signing_key()
    return {
        "no algorithm": f"{packed({'alg': 'none', 'typ': 'JWT'})}.{packed(claims | admin)}.",
        "no algorithm, our signature": f"{packed({'alg': 'nOnE'})}.{said}.{signature}",
        "another key": jwt.encode(claims | admin, key, "HS256"),
        "another algorithm": jwt.encode(claims, ours + "x" * 64, "HS512"),
        "our key, another algorithm": jwt.encode(claims, ours, "HS384"),
        "tampered": f"{head}.{packed(claims | admin)}.{signature}",
        "its own key": f"{packed({'alg': 'HS256', 'jwk': {'kty': 'oct', 'k': 'eA'}})}.{said}.eA",
        "a key by its place": f"{packed({'alg': 'HS256', 'kid': '../../dev/null'})}.{said}.",
        "no signature": f"{head}.{said}.",
        "half a signature": f"{head}.{said}.{signature[:20]}",
        "no expiry": jwt.encode({key: claims[key] for key in ("sub", "login")}, ours),
        "no login": jwt.encode({key: claims[key] for key in ("sub", "exp")}, ours),
        "a login that is another's": jwt.encode(claims | {"login": admin["login"]}, ours),
        "a user who is another": jwt.encode(claims | {"sub": admin["sub"]}, ours),
        "no text": jwt.encode(claims | {"login": {"$ne": None}}, ours),
        "expired": jwt.encode(claims | {"exp": 1}, ours),
        "for later": jwt.encode(claims | {"nbf": 2**40}, ours),
        "words": "not.a.token",
        "dots": "." * 1000,
        "long": "e" * 8000,
        "a refresh token": f"refresh {OWNER.name}",
        "the hash of a key": target.server.state.tokens.veiled(key_of("writing")),
        "a key of nobody": "ctn_' OR 1=1 --",
        "a key's beginning": "ctn_",
    }


def packed(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_no_token_but_ours_lets_in(target: Target) -> None:
    client = target.server.client
    assert (await client.get(f"{API}/users/me", headers=target.as_(OWNER.name))).status_code == 200
    for case, token in forged(target).items():
        shown = [{"Authorization": f"Bearer {token}"}, {"X-API-Key": token}]
        for headers in shown:
            answer = await client.get(f"{API}/users/me", headers=headers)
            assert answer.status_code == 401, (case, answer.text)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert refused(answer, 401)
    for scheme in ("Basic", "bearer", "Bearer", "Digest", ""):
        answer = await client.get(f"{API}/users/me", headers={"Authorization": f"{scheme} x"})
        assert refused(answer, 401)


async def test_two_ways_of_showing_who_one_is_are_not_mixed(target: Target) -> None:
    """A key comes first, and a bad one is not made up for by a good token."""
    good = target.as_(ADMIN)
    answer = await target.server.client.get(f"{API}/users", headers=good | {"X-API-Key": "x"})
    refused(answer, 401)
    both = good | {"X-API-Key": key_of("reading")}
    refused(await target.server.client.get(f"{API}/users", headers=both), 403)


@pytest.mark.parametrize("meant", ["PUT", "TRACE", "patch", "POST", "", "PATCH, DELETE", "A" * 999])
async def test_no_other_method_travels_as_post(target: Target, meant: str) -> None:
    before, url = await kept(target), f"{TUS}/{id_of('upload receiving')}"
    who = target.as_(OWNER.name) | VERSION | BYTES | {"X-HTTP-Method-Override": meant}
    refused(await target.server.client.post(url, headers=who | {"Upload-Offset": "400"}), 422)
    assert await kept(target) == before


async def test_elsewhere_a_method_is_what_it_is(target: Target) -> None:
    client, before = target.server.client, await kept(target)
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        headers = target.as_(OWNER.name) | {name: "DELETE"}
        for path in ("tasks", "uploads", "keys"):
            thing = {"tasks": "task failed", "uploads": "upload spare", "keys": "key spare"}[path]
            answer = await client.get(
                f"{API}/{path}/{id_of(thing)}?_method=DELETE", headers=headers
            )
            assert answer.status_code in (200, 405)
    assert await kept(target) == before


async def test_an_override_is_no_way_around_whose_it_is(target: Target) -> None:
    before, url = await kept(target), f"{TUS}/{id_of('upload receiving')}"
    for meant in ("PATCH", "DELETE", "HEAD"):
        sent = VERSION | BYTES | {"X-HTTP-Method-Override": meant, "Upload-Offset": "400"}
        answer = await target.server.client.post(url, headers=target.as_(OTHER) | sent)
        refused(answer, 404)
        reading = VERSION | BYTES | {"X-HTTP-Method-Override": meant, "Upload-Offset": "400"}
        shown = reading | {"X-API-Key": key_of("reading")}
        refused(await target.server.client.post(url, headers=shown), 403)
    assert await kept(target) == before


SECRET = f"{API}/users"
PATHS = [
    "//api/v1/users",
    "/api//v1/users",
    "/api/v1//users",
    "/api/v1/users/",
    "/api/v1/users/.",
    "/api/v1/users%2f",
    "/api/v1/./users",
    "/api/v1/tasks/../users",
    "/api/v1/tasks/..%2fusers",
    "/api/v1/tasks/%2e%2e/users",
    "/api/v1/tasks/%2e%2e%2fusers",
    "/api/v1/tasks/..%5cusers",
    "/api/v1/tasks/..%252fusers",
    "/api/v1/tasks/..;/users",
    "/api/v1/health/../users",
    "/api/v1/health/..%2fusers",
    "/health/%2e%2e/api/v1/users",
    "/API/V1/USERS",
    "/api/v1/users%00",
    "/api/v1/users%20",
    "/api/v1/users;x=1",
    "/api/v1/users.json",
    "/api%2fv1%2fusers",
    "/%61pi/v1/%75sers",
    "/..//..//etc/passwd",
    "/%c0%ae%c0%ae/etc/passwd",
    "/static/../../etc/passwd",
    "http://elsewhere/api/v1/users",
]


async def test_no_spelling_of_a_path_gets_past_who_may(target: Target) -> None:
    """Refused, or led to the route that it spells, which asks who it is."""
    for path in PATHS:
        for headers in ({}, target.as_(OWNER.name)):
            answer = await ask(target.server.app, "GET", path, headers)
            assert answer.status in (401, 403, 404, 405, 422), (path, answer.status)
            assert f'"{OWNER.name}"' not in answer.text
            assert "location" not in answer.headers, path


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80@server", "evil host", "'><script>"]
)
async def test_what_a_client_calls_us_is_repeated_nowhere(target: Target, host: str) -> None:
    """A page, a cache or a mail that led elsewhere would be the attacker's."""
    headers = target.as_(ADMIN) | {"Host": host, "X-Forwarded-Host": host, "Forwarded": host}
    paths = [path for path in target.server.app.openapi()["paths"] if "{" not in path]
    for path in [*paths, *(f"{each}/" for each in paths), "/docs", "/openapi.json", "/nowhere"]:
        answer = await ask(target.server.app, "GET", path, headers)
        assert host not in answer.text, path
        assert not any(host in told for told in answer.headers.values()), path
    begun = VERSION | {"Upload-Length": "10"}
    answer = await ask(target.server.app, "POST", TUS, headers | begun)
    assert answer.headers["location"].startswith(f"{TUS}/")
