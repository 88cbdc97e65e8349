"""Every route for everybody: what is somebody's is for nobody else to see, change, or know of.

All things in the paths are Ada's. The columns: Ada herself; Bob, another user; Eve, who views what
is Ada's; an administrator; somebody without a token; with a key of Ada's that she has revoked; with
a token of hers that has expired; with a key of hers that may only read.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.backend.asked import Answer, ask
from tests.backend.belongings import (
    ADMIN,
    CAME,
    LABEL,
    OTHER,
    OWNER,
    VIEWER,
    Belongings,
    Rows,
    id_of,
    key_of,
)
from tests.backend.clients import serving_all, whole
from tests.backend.finished import result_folder
from tests.backend.test_openapi import of_the_document_itself
from tests.backend.videos import BYTES, VERSION, Headers
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State

__all__ = ["result_folder"]

pytestmark = pytest.mark.anyio

EVERYBODY = "Ada Bob Eve admin nobody revoked expired reading"

MATRIX = """
                                              Ada Bob Eve admin nobody revoked expired reading
GET /                                         200 200 200  200    200     200     200     200
GET /health                                   200 200 200  200    200     200     200     200
GET /ready                                    200 200 200  200    200     200     200     200
GET /metrics                                  200 200 200  200    200     200     200     200
GET /tasks                                    403 403 403  200    401     401     401     403
GET /tasks/{task_id}                          403 403 403  404    401     401     401     403

GET /api/v1/health                            200 200 200  200    200     200     200     200
GET /api/v1/admin/audit                       403 403 403  200    401     401     401     403
GET /api/v1/admin/overview                    403 403 403  200    401     401     401     403

POST /api/v1/login                            200 200 200  200    200     200     200     200
POST /api/v1/login/refresh                    200 200 200  200    200     200     200     200
DELETE /api/v1/login                          204 204 204  204    401     401     401     204

GET /api/v1/users/me                          200 200 200  200    401     401     401     200
PUT /api/v1/users/me/password                 204 204 204  204    401     401     401     403
GET /api/v1/users                             403 403 403  200    401     401     401     403
POST /api/v1/users                            403 403 403  201    401     401     401     403
GET /api/v1/users/{user_id}                   403 403 403  200    401     401     401     403
PATCH /api/v1/users/{user_id}                 403 403 403  200    401     401     401     403

GET /api/v1/keys                              200 200 200  200    401     401     401     200
POST /api/v1/keys                             201 201 201  201    401     401     401     403
DELETE /api/v1/keys/{key_id}                  204 404 404  404    401     401     401     403

OPTIONS /api/v1/uploads/tus                   204 204 204  204    204     204     204     204
POST /api/v1/uploads/tus                      201 201 403  201    401     401     401     403
HEAD /api/v1/uploads/tus/{upload_id}          200 404 200  200    401     401     401     200
PATCH /api/v1/uploads/tus/{upload_id}         204 404 403  204    401     401     401     403
DELETE /api/v1/uploads/tus/{upload_id}        204 404 403  204    401     401     401     403
POST /api/v1/uploads/tus/{upload_id}          204 404 403  204    401     401     401     403

GET /api/v1/uploads                           200 200 200  200    401     401     401     200
POST /api/v1/uploads                          201 201 403  201    401     401     401     403
POST /api/v1/uploads/from-url                 201 201 403  201    401     401     401     403
POST /api/v1/uploads/from-media               403 403 403  201    401     401     401     403
GET /api/v1/uploads/{upload_id}               200 404 200  200    401     401     401     200
DELETE /api/v1/uploads/{upload_id}            204 404 403  204    401     401     401     403

GET /api/v1/tasks                             200 200 200  200    401     401     401     200
POST /api/v1/tasks                            201 404 403  201    401     401     401     403
GET /api/v1/tasks/{task_id}                   200 404 200  200    401     401     401     200
PATCH /api/v1/tasks/{task_id}                 200 404 403  200    401     401     401     403
DELETE /api/v1/tasks/{task_id}                204 404 403  204    401     401     401     403
POST /api/v1/tasks/{task_id}/cancel           200 404 403  200    401     401     401     403
POST /api/v1/tasks/{task_id}/retry            201 404 403  201    401     401     401     403

GET /api/v1/tasks/{task_id}/frames            200 404 200  200    401     401     401     200
GET /api/v1/tasks/{task_id}/tracks            200 404 200  200    401     401     401     200
GET /api/v1/tasks/{task_id}/files/{name}      200 404 200  200    401     401     401     200
HEAD /api/v1/tasks/{task_id}/files/{name}     200 404 200  200    401     401     401     200
GET /api/v1/tasks/{task_id}/export/{format}   200 404 200  200    401     401     401     200

GET /api/v1/tasks/{task_id}/events            200 404 200  200    401     401     401     200
WEBSOCKET /api/v1/tasks/{task_id}/frames/live 101 404 101  101    401     401     401     101

POST /upload                                  200 200 403  200    401     401     401     403
GET /status/{task_id}                         200 404 200  200    401     401     401     200
GET /result/{task_id}                         200 404 200  200    401     401     401     200
"""

Expected = dict[str, dict[str, int]]


def read(matrix: str) -> Expected:
    head, *lines = filter(None, matrix.splitlines())
    assert head.split() == EVERYBODY.split()
    cells = {" ".join(each.split()[:2]): map(int, each.split()[2:]) for each in lines}
    return {name: dict(zip(EVERYBODY.split(), row, strict=True)) for name, row in cells.items()}


EXPECTED = read(MATRIX)


@dataclass(frozen=True)
class Sent:
    """What goes with a request.

    Attributes:
        about: Ada's thing in the path, by the kind and state that the route is for.
        json: the body, or else
        body: its bytes;
        headers: with it.
    """

    about: str = ""
    json: Any = None
    body: bytes = b""
    headers: Headers | None = None


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    b"no video at all\r\n--x--\r\n"
)
AS_FORM = {"Content-Type": "multipart/form-data; boundary=x"}
GOES_ON = VERSION | BYTES | {"Upload-Offset": str(CAME)}

TUS, TASK = "/api/v1/uploads/tus", "/api/v1/tasks/{task_id}"

SENT = {
    "POST /api/v1/login": Sent(json=OWNER._asdict()),
    "POST /api/v1/login/refresh": Sent(json={"refresh_token": f"refresh {OWNER.name}"}),
    "PUT /api/v1/users/me/password": Sent(json={"old": OWNER.password, "new": "another-engine"}),
    "POST /api/v1/users": Sent(json={"name": "zoe", "password": "let-me-in-please"}),
    "GET /api/v1/users/{user_id}": Sent(f"user {OWNER.name}"),
    "PATCH /api/v1/users/{user_id}": Sent(f"user {OWNER.name}", {"quota_tasks": 9}),
    "POST /api/v1/keys": Sent(json={"name": "mine", "scopes": ["read"]}),
    "DELETE /api/v1/keys/{key_id}": Sent("key spare"),
    f"POST {TUS}": Sent(headers=VERSION | {"Upload-Length": "10"}),
    f"HEAD {TUS}/{{upload_id}}": Sent("upload receiving", headers=VERSION),
    f"PATCH {TUS}/{{upload_id}}": Sent("upload receiving", body=b"more", headers=GOES_ON),
    f"DELETE {TUS}/{{upload_id}}": Sent("upload receiving", headers=VERSION),
    f"POST {TUS}/{{upload_id}}": Sent(
        "upload receiving", body=b"more", headers=GOES_ON | {"X-HTTP-Method-Override": "PATCH"}
    ),
    "POST /api/v1/uploads": Sent(body=FORM, headers=AS_FORM),
    "POST /api/v1/uploads/from-url": Sent(json={"url": "http://127.0.0.1:9/walk.mp4"}),
    "POST /api/v1/uploads/from-media": Sent(json={"path": "walk.mp4"}),
    "GET /api/v1/uploads/{upload_id}": Sent("upload ready"),
    "DELETE /api/v1/uploads/{upload_id}": Sent("upload spare"),
    "POST /api/v1/tasks": Sent(json={"upload_id": id_of("upload ready")}),
    f"GET {TASK}": Sent("task running"),
    f"PATCH {TASK}": Sent("task running", {"label": "another"}),
    f"DELETE {TASK}": Sent("task failed"),
    f"POST {TASK}/cancel": Sent("task running"),
    f"POST {TASK}/retry": Sent("task completed"),
    f"GET {TASK}/events": Sent("task running"),
    f"WEBSOCKET {TASK}/frames/live": Sent("task running"),
    "GET /status/{task_id}": Sent("task running"),
    "POST /upload": Sent(body=FORM, headers=AS_FORM),
}

SAFE = ("GET", "HEAD", "OPTIONS", "WEBSOCKET")

FILLED = {"name": "annotated.mp4", "format": "csv"}


@dataclass(frozen=True)
class World:
    app: FastAPI
    state: State
    belongings: Belongings

    async def afresh(self) -> tuple[Rows, dict[str, int]]:
        """As it was before the first test; what a request has begun goes on no more."""
        await self.state.uploads.close()
        await self.belongings.put_back()
        return await self.now()

    async def now(self) -> tuple[Rows, dict[str, int]]:
        """All that is kept."""
        return await self.belongings.rows(), self.belongings.files()

    async def ask(self, name: str, who: Headers, about: str | None = None) -> Answer:
        """A request that a route understands; `about` another id than that of Ada's thing."""
        sent = SENT.get(name, Sent("task completed"))
        method, path = name.split()
        thing = id_of(sent.about) if about is None else about
        filled = dict.fromkeys(("user_id", "key_id", "upload_id", "task_id"), thing) | FILLED
        body, headers = sent.body, who | (sent.headers or {})
        if sent.json is not None:
            body, headers = json.dumps(sent.json).encode(), headers | AS_JSON
        return await ask(self.app, method, path.format(**filled), headers, body)

    def everybody(self) -> dict[str, Headers]:
        """How each column shows who it is."""
        logins = dict(zip(EVERYBODY.split(), (OWNER.name, OTHER, VIEWER, ADMIN), strict=False))
        return {column: self.belongings.headers(name) for column, name in logins.items()} | {
            "nobody": {},
            "revoked": {"X-API-Key": key_of("revoked")},
            "expired": self.belongings.expired(OWNER.name),
            "reading": {"X-API-Key": key_of("reading")},
        }


AS_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def world(
    result_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """One backend for all; one task runs, as many as may, so that none begins."""
    media = tmp_path_factory.mktemp("media")
    (media / "walk.mp4").write_bytes(b"no video at all")
    settings = BackendSettings(
        data_dir=tmp_path_factory.mktemp("isolation"),
        running_tasks=1,
        requests_a_minute=10**6,
        login_attempts_a_minute=10**6,
        media_dir=media,
        source_prefixes=("http://127.0.0.1:9/",),
    )
    async with serving_all(settings) as server:
        belongings = Belongings(settings, server.state.database, result_folder)
        yield World(server.app, server.state, belongings)


def routes(app: FastAPI) -> set[str]:
    found = set()
    for each in iter_route_contexts(app.routes):
        found |= {f"{method} {each.path}" for method in each.methods or ("WEBSOCKET",)}
    return {each for each in found if not of_the_document_itself(each)}


async def test_every_route_has_a_row(tmp_path: Path) -> None:
    app = whole(BackendSettings(data_dir=tmp_path))[1]
    assert set(EXPECTED) == routes(app)
    assert set(SENT) <= set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
async def test_everybody_gets_what_is_theirs(name: str, world: World) -> None:
    """Who is refused has changed nothing, and read nothing."""
    found, before = {}, await world.afresh()
    for column, who in world.everybody().items():
        answer = await world.ask(name, who)
        found[column] = answer.status
        if answer.status >= 400 or name.startswith(SAFE):
            assert await world.now() == before, column
        else:
            before = await world.afresh()
        if column not in ("Ada", "Eve", "admin", "reading"):
            assert LABEL not in answer.text, column
            assert "walk" not in answer.headers.get("content-disposition", ""), column
    assert found == EXPECTED[name]


ABOUT_HERS = [each for each in EXPECTED if "_id}" in each and EXPECTED[each]["Bob"] == 404]


@pytest.mark.parametrize("name", ABOUT_HERS)
async def test_what_is_anothers_is_as_what_is_not_there(name: str, world: World) -> None:
    """Word for word, header for header: nobody learns which ids there are."""
    await world.afresh()
    bob, nothing = world.everybody()["Bob"], id_of("nothing at all")
    hers, none = await world.ask(name, bob), await world.ask(name, bob, nothing)
    thing = id_of(SENT.get(name, Sent("task completed")).about)
    assert (hers.status, comparable(hers, thing)) == (404, comparable(none, nothing))


def comparable(answer: Answer, about: str) -> tuple[Any, Any]:
    """Without what differs from request to request, and the id that was asked for."""
    headers = {name: told for name, told in answer.headers.items() if name != "x-request-id"}
    said = json.loads(answer.text) | {"request_id": None} if answer.body else {}
    return headers, json.dumps(said).replace(about, "it")


async def listed(world: World, path: str, column: str) -> set[str]:
    answer = await ask(world.app, "GET", path, world.everybody()[column])
    assert answer.status == 200, answer.text
    found = json.loads(answer.text)
    return {each["id"] for each in (found["items"] if isinstance(found, dict) else found)}


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/uploads", "/api/v1/keys"])
async def test_lists_hold_ones_own(path: str, world: World) -> None:
    await world.afresh()
    hers = await listed(world, path, "Ada")
    assert len(hers) >= 4
    assert await listed(world, path, "reading") == hers
    assert await listed(world, path, "Eve") == (set() if path.endswith("keys") else hers)
    assert await listed(world, path, "Bob") == set()
    assert await listed(world, path, "admin") == set()


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/uploads"])
async def test_lists_of_others_are_for_administrators(path: str, world: World) -> None:
    """Whether there is such a user is nothing that the refusal tells."""
    await world.afresh()
    hers = f"{path}?user={id_of(f'user {OWNER.name}')}"
    assert await listed(world, hers, "admin") == await listed(world, path, "Ada")
    assert await listed(world, hers, "Eve") == await listed(world, path, "Ada")
    bob = world.everybody()["Bob"]
    refused = await ask(world.app, "GET", hers, bob)
    nobodys = await ask(world.app, "GET", f"{path}?user={id_of('nobody')}", bob)
    assert (refused.status, comparable(refused, "?")) == (403, comparable(nobodys, "?"))
    narrowed = f"{path}?upload={id_of('upload ready')}&state=running"
    assert await listed(world, narrowed, "Bob") == set()


async def test_a_key_ends_itself_and_no_other(world: World) -> None:
    """Who finds one can end it, and lock nobody out with it."""
    await world.afresh()
    for name, about, status in [
        ("reading", "writing", 403),
        ("writing", "reading", 403),
        ("reading", "reading", 204),
        ("reading", "writing", 401),
    ]:
        key = {"X-API-Key": key_of(name)}
        url = f"/api/v1/keys/{id_of(f'key {about}')}"
        assert (await ask(world.app, "DELETE", url, key)).status == status, (name, about)


async def test_what_an_administrator_makes_of_a_users_video_is_that_users(world: World) -> None:
    await world.afresh()
    for name in ("POST /api/v1/tasks", f"POST {TASK}/retry"):
        made = json.loads((await world.ask(name, world.everybody()["admin"])).text)
        assert made["user_id"] == id_of(f"user {OWNER.name}")


async def test_a_key_of_idempotency_is_of_one_user(world: World) -> None:
    """Bob's request with Ada's key neither gives him her task nor tells him that it was used."""
    await world.afresh()
    everybody, same = world.everybody(), AS_JSON | {"Idempotency-Key": "the-same"}
    wish = json.dumps({"upload_id": id_of("upload ready")}).encode()
    statuses = [
        (await ask(world.app, "POST", "/api/v1/tasks", everybody[each] | same, wish)).status
        for each in ("Ada", "Ada", "Bob")
    ]
    assert statuses == [201, 200, 404]


async def test_who_is_locked_out_is_out_with_all_they_have(world: World) -> None:
    """The login, the keys, and who views them stays in: it is an account of its own."""
    await world.afresh()
    everybody, url = world.everybody(), f"/api/v1/users/{id_of(f'user {OWNER.name}')}"
    locked = await ask(world.app, "PATCH", url, everybody["admin"] | AS_JSON, b'{"active": false}')
    assert locked.status == 200
    name = f"GET {TASK}"
    found = {each: (await world.ask(name, everybody[each])).status for each in everybody}
    assert {each for each in found if found[each] == 200} == {"Eve", "admin"}
    assert {found[each] for each in ("Ada", "reading")} == {401}
