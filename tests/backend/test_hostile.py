"""What nobody sends who means well: each is refused in clear words, and leaves nothing."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
from sqlalchemy import select

from contanos.testing.videos import make_video, patch_avi
from tests.backend.asked import ask
from tests.backend.belongings import (
    ADMIN,
    OTHER,
    OWNER,
    Belongings,
    id_of,
    key_of,
)
from tests.backend.clients import ADA, Server, serving_all
from tests.backend.finished import result_folder
from tests.backend.tasks import in_state, made
from tests.backend.videos import BYTES, TUS, VERSION, Headers
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow, Upload, User, new_id
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage.contract import upload_name

__all__ = ["result_folder"]

pytestmark = pytest.mark.anyio

API, TASKS = "/api/v1", "/api/v1/tasks"
PROBLEM = "application/problem+json"


@dataclass
class Target:
    """A backend that holds things of every kind."""

    server: Server
    belongings: Belongings

    def as_(self, who: str) -> Headers:
        return self.belongings.headers(who)


@asynccontextmanager
async def attacked(settings: BackendSettings, results: Path) -> AsyncIterator[Target]:
    patient = {"requests_a_minute": 10**6, "login_attempts_a_minute": 10**6}
    more = patient | {"login_attempts": 10**6, "running_tasks": 1}
    changed = settings.model_copy(update=more)
    async with serving_all(changed) as server:
        belongings = Belongings(changed, server.state.database, results)
        await belongings.put_back()
        yield Target(server, belongings)


@pytest.fixture
async def target(settings: BackendSettings, result_folder: Path) -> AsyncIterator[Target]:
    async with attacked(settings, result_folder) as found:
        yield found


@pytest.fixture
async def either(
    settings: BackendSettings, result_folder: Path, database_url: str
) -> AsyncIterator[Target]:
    """On SQLite, and on PostgreSQL."""
    on = settings.model_copy(update={"database_url": database_url})
    async with attacked(on, result_folder) as found:
        yield found


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The words of a refusal."""
    assert answer.status_code in statuses or (not statuses and 400 <= answer.status_code < 500), (
        answer.status_code,
        answer.text,
    )
    assert answer.headers["Content-Type"] == PROBLEM
    assert "x-injected" not in answer.headers
    said: str = answer.json()["detail"]
    assert said
    return said


# texts in every place that takes one

TEXTS = [
    "a\0b",
    "\0",
    "a\r\nX-Injected: yes",
    "x" * 100_000,
    "' OR '1'='1'; DROP TABLE users; --",
    "../../../../etc/passwd",
    "raw_frames_x,yolox_x",
    "\u202egpj.exe",
    "\ufffe\uffff",
    "🦆" * 300,
    "%s%n%00{0}{{7*7}}${jndi:ldap://x}",
    "-1",
    "\ud800",
    "",
]


def fields(document: dict[str, Any], schema: Any) -> Iterator[str]:
    """Names of a body's fields."""
    if name := schema.get("$ref"):
        schema = document["components"]["schemas"][name.rpartition("/")[2]]
    yield from schema.get("properties", {})


def example(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema["$ref"].rpartition("/")[2]
    found = document["components"]["schemas"][name]["properties"].items()
    return {field: said["examples"][0] for field, said in found if said.get("examples")}


def requests_with(document: dict[str, Any], text: str) -> Iterator[tuple[str, str, Any, Headers]]:
    """Method, address, body and headers; one place holds the text, the others what they should."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            fine = {each["name"]: str(each["schema"]["examples"][0]) for each in parameters}
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = example(document, schema) if schema else None
            escaped = quote(text, safe="", errors="surrogatepass")
            for each in parameters:
                if each["in"] == "path" and text:
                    yield method, path.format(**fine | {each["name"]: escaped}), body, {}
                if each["in"] == "query":
                    yield method, f"{path.format(**fine)}?{each['name']}={escaped}", body, {}
                if each["in"] == "header" and text.isprintable() and text.isascii():
                    yield method, path.format(**fine), body, VERSION | {each["name"]: text}
            for each in fields(document, schema or {}):
                yield method, path.format(**fine), (body or {}) | {each: text}, {}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_no_text_does_harm_anywhere(either: Target, text: str) -> None:
    """In every path, query, header and field, for an administrator, who gets farthest."""
    document = either.server.app.openapi()
    who, before = either.as_(ADMIN), await kept(either)
    for method, url, body, headers in requests_with(document, text):
        sent = json.dumps(body) if body else None
        kind = {"Content-Type": "application/json"} if body else {}
        told = (sent or "").encode()
        answer = await ask(either.server.app, method.upper(), url, who | kind | headers, told)
        assert 200 <= answer.status < 500, (method, url[:200], told[:300], answer.text)
        assert "x-injected" not in answer.headers
        assert len(answer.body) < 10**4 or answer.status < 400
        if answer.status >= 400:
            assert answer.headers["content-type"] == PROBLEM
        if method in ("get", "head", "options"):
            continue
        if answer.status < 400:
            await either.server.state.uploads.close()
            await either.belongings.put_back()
            before = await kept(either)
        assert await kept(either) == before, (method, url[:200])
    assert await kept(either) == before


async def kept(target: Target) -> tuple[Any, Any, Any]:
    """Rows, files and topics."""
    bus = target.server.state.desk.bus
    rows = await target.belongings.rows()
    return rows, target.belongings.files(), sorted(await asyncio.to_thread(bus.topics))


LABELS = [
    'a"; filename="evil.exe',
    "a\r\nX-Injected: yes.mp4",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "\u202e4pm.exe",
    "Zoë 🦆.mp4",
    "%0d%0aX-Injected: yes",
    "; rm -rf",
    "\x7f\x1b[31mred",
    "x" * 255,
]


@pytest.mark.parametrize("label", LABELS, ids=range(len(LABELS)))
async def test_a_label_stays_within_the_name_that_it_gives(target: Target, label: str) -> None:
    client, who, task_id = target.server.client, target.as_(OWNER.name), id_of("task completed")
    answer = await client.patch(f"{TASKS}/{task_id}", json={"label": label}, headers=who)
    assert answer.status_code == 200, answer.text
    for path in ("files/annotated.mp4", "export/csv"):
        fetched = await client.get(f"{TASKS}/{task_id}/{path}", headers=who)
        assert fetched.status_code == 200
        assert "x-injected" not in fetched.headers
        said = fetched.headers["Content-Disposition"]
        assert said.isascii()
        assert said.isprintable()
        name = said.partition('filename="')[2].partition('"')[0]
        assert said.startswith("attachment; ")
        assert not set(name) & set('/\\"\r\n;%') - {";"}
        assert not name.startswith(".")
        assert said.removeprefix(f'attachment; filename="{name}"').count('"') == 0


# bodies

DEEP = 100_000
BODIES: dict[str, bytes] = {
    "deep lists": b"[" * DEEP,
    "deep and closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep options": b'{"upload_id":"x","options":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "many of nothing": b"[" + b"[]," * 300_000 + b"[]]",
    "many names": b"{" + b",".join(b'"%d":0' % each for each in range(60_000)) + b"}",
    "the same name often": b"{" + b'"upload_id":"x",' * 20_000 + b'"upload_id":{}}',
    "a long number": b'{"upload_id":"x","priority":' + b"9" * 500_000 + b"}",
    "a great number": b'{"upload_id":"x","priority":1e999999999}',
    "no number": b'{"upload_id":"x","priority":NaN}',
    "infinity": b'{"upload_id":"x","options":{"det_score":Infinity}}',
    "half a character": b'{"upload_id":"\\ud800"}',
    "half a character as a name": b'{"upload_id":"x","\\ud800":1}',
    "no UTF-8": b'{"upload_id":"\xff\xfe"}',
    "UTF-16": '{"upload_id":"x"}'.encode("utf-16"),
    "UTF-32": '{"upload_id":1}'.encode("utf-32"),
    "nothing": b"",
    "a NUL": b"\0",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "packed": gzip.compress(b'{"upload_id":"' + b"x" * 10**8 + b'"}'),
    "a prototype": b'{"upload_id":"x","__proto__":{"admin":true},"constructor":1}',
    "whose it is": b'{"upload_id":"x","user_id":"someone","state":"completed"}',
    "XML": b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
}


@pytest.mark.parametrize("case", BODIES)
async def test_no_body_does_harm(target: Target, case: str) -> None:
    """Neither to the process: answered within seconds, with little memory, and then the next."""
    client, who, before = target.server.client, target.as_(OWNER.name), await kept(target)
    headers = who | {"Content-Type": "application/json"}
    if case == "packed":
        headers |= {"Content-Encoding": "gzip"}
    async with asyncio.timeout(20):
        answer = await client.post(TASKS, content=BODIES[case], headers=headers)
    said = refused(answer, 400, 404, 413, 422)
    assert len(said) < 2000 + 100 * said.count(";"), "the refusal grows with what was sent"
    assert len(answer.content) < 1 << 20
    assert await kept(target) == before
    assert (await client.get(f"{API}/users/me", headers=who)).status_code == 200


KINDS = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/xml",
    "application/json; charset=utf-7",
    "application/octet-stream",
    "image/svg+xml",
    "a" * 5000,
    "",
]


@pytest.mark.parametrize("kind", KINDS, ids=range(len(KINDS)))
async def test_what_is_called_otherwise_is_not_read_as_json(target: Target, kind: str) -> None:
    """So that no page of another origin can send it without asking first."""
    client, who = target.server.client, target.as_(OWNER.name)
    body = json.dumps({"upload_id": id_of("upload ready")}).encode()
    answer = await client.post(TASKS, content=body, headers=who | {"Content-Type": kind})
    if not kind.startswith("application/json"):
        refused(answer, 400, 415, 422)
    form = await client.post(f"{API}/uploads", content=body, headers=who | {"Content-Type": kind})
    refused(form, 422)


# who they say they are


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


# parts of files

RANGES = {
    "bytes=0-0": 206,
    "bytes=-1": 206,
    "bytes=0-99999999999999999": 206,
    "bytes=-0": 416,
    "bytes=99999999999999999-": 416,
    "bytes=5-1": 200,
    "bytes=--1": 200,
    "bytes=a-b": 200,
    "bytes=": 200,
    "bytes=-": 200,
    "lines=0-1": 200,
    "bytes=0-" + "9" * 5000: 200,
    "bytes=" + ",".join(["0-"] * 1000): 200,
    "bytes=" + ",".join(f"{each}-{each}" for each in range(1000)): 200,
    "bytes=0-0,-1": 200,
    "bytes=0x0-0x1": 200,
    "bytes=1e1-2e1": 200,
    "bytes=+0-+1": 200,
    "bytes=0-0\t": 206,
}


async def test_no_range_makes_a_server_work(target: Target, result_folder: Path) -> None:
    """Many of them are the whole file once, never as many parts."""
    client, who = target.server.client, target.as_(OWNER.name)
    size = (result_folder / "annotated.mp4").stat().st_size
    for asked, status in RANGES.items():
        url = f"/result/{id_of('task completed')}"
        answer = await client.get(url, headers=who | {"Range": asked})
        assert answer.status_code == status, asked[:50]
        assert len(answer.content) <= max(size, 1000), asked[:50]
        if status == 416:
            assert answer.headers["Content-Range"] == f"bytes */{size}"


# the same once more


@pytest.mark.parametrize("key", ["", " ", "x" * 129, "a b", "é", "a\tb", "x" * 5000])
async def test_a_key_of_idempotency_that_is_none_is_refused(target: Target, key: str) -> None:
    before = await kept(target)
    headers = target.as_(OWNER.name) | {"Content-Type": "application/json"}
    answer = await ask(
        target.server.app,
        "POST",
        TASKS,
        headers | {"Idempotency-Key": key},
        json.dumps({"upload_id": id_of("upload ready")}).encode(),
    )
    assert (answer.status, "idempotency-key" in answer.text.lower()) == (422, True)
    assert await kept(target) == before


async def test_one_key_makes_one_task_however_often_and_at_once(either: Target) -> None:
    client, who = either.server.client, either.as_(OWNER.name)
    wish, key = {"upload_id": id_of("upload ready"), "priority": -7}, {"Idempotency-Key": "'--"}
    answers = await asyncio.gather(
        *(client.post(TASKS, json=wish, headers=who | key) for _ in range(8))
    )
    assert {each.status_code for each in answers} <= {200, 201, 409}
    assert len({each.json()["id"] for each in answers if each.status_code != 409}) == 1
    assert [each.status_code for each in answers].count(201) == 1
    other = wish | {"options": {"trail": 1}}
    refused(await client.post(TASKS, json=other, headers=who | key), 409)
    async with either.server.state.database.reading() as session:
        made_ones = list(await session.scalars(select(TaskRow).where(TaskRow.priority == -7)))
    assert len(made_ones) == 1


# methods and paths


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


# a video that is not what it was


async def test_a_bomb_that_was_let_in_ends_its_task_with_a_cause(
    platform: Server, tmp_path: Path
) -> None:
    """As if its check had missed it: whoever opens it later does not trust its header either."""
    await platform.let_in(ADA)
    ada = await platform.log_in(ADA)
    plain = make_video(tmp_path / "plain.avi", codec="ffv1")
    bomb = patch_avi(plain, tmp_path / "bomb.avi", size=(15_000, 15_000))
    upload_id = await let_in_unchecked(platform.state.database, ADA.name)
    await platform.state.storage.keep(upload_name(upload_id), bomb)
    task = await made(platform.client, ada, upload_id)
    found = await in_state(platform.client, ada, task["id"], "failed")
    assert "15000 x 15000" in found["cause"]
    assert str(platform.state.settings.data_dir) not in found["cause"]
    async with asyncio.timeout(10):
        while list((platform.state.settings.data_dir / "work").glob("*")):
            await asyncio.sleep(0.05)
    assert found["bytes"] == 0


async def let_in_unchecked(database: Database, owner: str) -> str:
    """An upload that calls itself ready."""
    upload_id = new_id()
    said = {"width": 64, "height": 48, "frames": 10, "seconds": 1.0, "bytes": 1, "received": 1}
    async with database.transaction() as session:
        user_id = await session.scalar(select(User.id).where(User.name == owner))
        about = {"label": "walk.avi", "state": "ready", "source": "form"} | said
        session.add(Upload(id=upload_id, user_id=user_id, **about))
    return upload_id
