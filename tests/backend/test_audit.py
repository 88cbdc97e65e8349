"""What is written down of what people do, who may read it, and how long it is kept."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.backend.clients import ADA, ADMIN, BOB, Server
from tests.backend.surrounded import surrounded
from tests.backend.videos import UPLOADS, VERSION, begin, send_form
from video_analysis.backend.accounts.lockout import counted, note_wrong
from video_analysis.backend.audit import Origin, audit
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import ApiKey, Audit, WrongLogins
from video_analysis.backend.forget import forget
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

LOGIN, ME, AUDIT = "/api/v1/login", "/api/v1/users/me", "/api/v1/admin/audit"


async def log(server: Server, **query: Any) -> list[dict[str, Any]]:
    """The newest lines, the oldest of them first, without that of who asks."""
    who = await server.log_in(ADMIN)
    answer = await server.client.get(AUDIT, params={"limit": 200} | query, headers=who)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found[::-1]


async def deeds(server: Server, user_id: str) -> list[tuple[str, str | None]]:
    return [(each["what"], each["about"]) for each in await log(server, user=user_id)]


async def test_logins_and_logouts_are_written_down(settings: BackendSettings) -> None:
    async with surrounded(settings, address="192.0.2.7") as server:
        ada = await server.let_in(ADA)
        sent = {"X-Request-ID": "the-login"}
        answer = await server.client.post(LOGIN, json=ADA._asdict(), headers=sent)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        await server.client.delete(LOGIN, headers=headers)
        made, came, went = await log(server, user=ada)
        assert (made["what"], made["about"]) == ("account made", ada)
        assert made["user_id"] not in (ada, None)
        assert (came["what"], went["what"]) == ("login", "logout")
        assert came["about"] == went["about"] != ada
        assert came["user_id"] == went["user_id"] == ada
        assert came["address"] == "192.0.2.7"
        assert came["request_id"] == "the-login"


async def test_refused_logins_name_the_account_and_never_what_was_typed(server: Server) -> None:
    ada = await server.let_in(ADA)
    for name in ("ada", "my-password-by-mistake", "my-password-by-mistake", "ada2"):
        await server.client.post(LOGIN, json={"name": name, "password": "wrong-one"})
    found = await log(server, what="login refused")
    abouts = [each["about"] for each in found]
    assert abouts[0] == ada
    assert abouts[1] == abouts[2] != abouts[3]
    assert {each["user_id"] for each in found} == {None}
    assert await deeds(server, ada) == [("account made", ada), ("login refused", ada)]
    async with server.state.database.reading() as session:
        names = (await session.scalars(select(WrongLogins.name))).all()
    for typed in ("password-by", "wrong-one", "ada2"):
        assert typed not in str([found, names])


async def test_a_lockout_is_written_down_for_nobody_too(server: Server) -> None:
    for _ in range(6):
        await server.client.post(LOGIN, json={"name": "nobody", "password": "wrong-one"})
    found = [each["what"] for each in await log(server)]
    assert found[-7:-1] == ["login refused"] * 5 + ["name locked"]


async def test_a_stolen_refresh_token_is_written_down(server: Server) -> None:
    ada = await server.let_in(ADA)
    first = (await server.client.post(LOGIN, json=ADA._asdict())).json()
    await server.client.post(f"{LOGIN}/refresh", json=first)
    for _ in range(2):
        stolen = await server.client.post(f"{LOGIN}/refresh", json=first)
        assert stolen.status_code == 401
    what = [what for what, _ in await deeds(server, ada)]
    assert what == ["account made", "login", "token stolen"]


async def test_passwords_and_accounts_are_written_down(server: Server) -> None:
    ada = await server.let_in(ADA)
    headers = await server.log_in(ADA)
    for old in ("not-the-old-one", ADA.password):
        change = {"old": old, "new": "difference-engine"}
        await server.client.put(f"{ME}/password", json=change, headers=headers)
    root = await server.log_in(ADMIN)
    await server.client.patch(f"/api/v1/users/{ada}", json={"quota_tasks": 1}, headers=root)
    again = {"password": "set-by-the-admin"}
    await server.client.patch(f"/api/v1/users/{ada}", json=again, headers=root)
    lines = await log(server, user=ada)
    assert [each["what"] for each in lines] == [
        "account made",
        "login",
        "password change refused",
        "password changed",
        "account changed",
        "account changed",
        "password changed",
    ]
    assert [each["user_id"] == ada for each in lines[1:]] == [True] * 3 + [False] * 3


async def test_keys_are_written_down_and_their_use_once_an_hour(server: Server) -> None:
    ada = await server.let_in(ADA)
    headers = await server.log_in(ADA)
    wanted = {"name": "lab", "scopes": ["read", "write"]}
    made = (await server.client.post("/api/v1/keys", json=wanted, headers=headers)).json()
    key, place = {"X-API-Key": made["key"]}, f"/api/v1/keys/{made['id']}"

    async def used_before(**ago: float) -> None:
        async with server.state.database.transaction() as session:
            await session.execute(update(ApiKey).values(last_used=now() - timedelta(**ago)))

    assert (await server.client.get(ME, headers=key)).status_code == 200
    assert (await server.client.get(ME, headers=key)).status_code == 200
    await used_before(hours=1)
    # Though the request comes to nothing, the key was used.
    assert (await server.client.post("/api/v1/keys", json=wanted, headers=key)).status_code == 403
    assert (await server.client.get(ME, headers=key)).status_code == 200
    for _ in range(2):
        assert (await server.client.delete(place, headers=headers)).status_code == 204
    assert (await server.client.get(ME, headers=key)).status_code == 401
    found = [each for each in await deeds(server, ada) if each[0].startswith("key")]
    about = made["id"]
    used = ("key used", about)
    assert found == [("key made", about), used, used, ("key revoked", about)]
    assert made["key"] not in str(await log(server))


async def test_deleted_uploads_are_written_down(server: Server) -> None:
    ada = await server.let_in(ADA)
    await server.let_in(BOB)
    headers, bob = await server.log_in(ADA), await server.log_in(BOB)
    form = (await send_form(server.client, headers, b"no video")).json()["id"]
    tus = await begin(server.client, headers, 100)
    other = await begin(server.client, headers, 100)
    assert (await server.client.delete(tus, headers=bob | VERSION)).status_code == 404
    over = VERSION | {"X-HTTP-Method-Override": "DELETE"}
    assert (await server.client.delete(tus, headers=headers | VERSION)).status_code == 204
    assert (await server.client.post(other, headers=headers | over)).status_code == 204
    assert (await server.client.delete(f"{UPLOADS}/{form}", headers=headers)).status_code == 204
    found = [about for what, about in await deeds(server, ada) if what == "upload deleted"]
    assert found == [tus[-24:], other[-24:], form]


async def test_what_was_not_done_is_not_written_down(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            await audit(session, Origin("ada", "192.0.2.1", "one"), "task deleted", "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.transaction() as session:
        await audit(session, Origin("ada"), "task deleted", "y" * 200)
    async with database.reading() as session:
        rows = (await session.scalars(select(Audit))).all()
    assert [(each.user_id, each.about) for each in rows] == [("ada", "y" * 128)]


async def test_the_log_is_paged(server: Server) -> None:
    async with server.state.database.transaction() as session:
        for i in range(25):
            await audit(session, Origin(), "task deleted", f"t{i}")
    who = await server.log_in(ADMIN)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 10, "what": "task deleted"}
    while query.get("after", 1):
        page = (await server.client.get(AUDIT, params=query, headers=who)).json()
        assert len(page["items"]) <= 10
        found += [each["about"] for each in page["items"]]
        query["after"] = page["next"]
    assert found == [f"t{i}" for i in reversed(range(25))]


@pytest.mark.parametrize(
    "query", [{"after": 0}, {"after": 2**63}, {"after": "x"}, {"what": "everything"}, {"limit": 0}]
)
async def test_what_cannot_be_asked_is_said(server: Server, query: dict[str, Any]) -> None:
    who = await server.log_in(ADMIN)
    answer = await server.client.get(AUDIT, params=query, headers=who)
    assert answer.status_code == 422


@pytest.mark.parametrize("path", [AUDIT, "/api/v1/admin/overview"])
async def test_only_administrators_look(server: Server, path: str) -> None:
    ada = await server.let_in(ADA)
    await server.let_in(BOB, role="viewer", views=ada)
    root = await server.log_in(ADMIN)
    wanted = {"name": "narrow", "scopes": ["read", "write"]}
    made = (await server.client.post("/api/v1/keys", json=wanted, headers=root)).json()
    assert (await server.client.get(path)).status_code == 401
    for headers in (await server.log_in(ADA), await server.log_in(BOB), {"X-API-Key": made["key"]}):
        assert (await server.client.get(path, headers=headers)).status_code == 403
    assert (await server.client.get(path, headers=root)).status_code == 200


async def test_old_lines_go_and_young_ones_stay(
    database: Database, settings: BackendSettings
) -> None:
    async with database.transaction() as session:
        for days in (364.9, 365.1, 400):
            await audit(session, Origin(), "login", str(days))
            then = now() - timedelta(days=days)
            await session.execute(update(Audit).where(Audit.about == str(days)).values(at=then))
        for name, hours in [("old", 25), ("young", 23)]:
            count = await counted(session, name)
            note_wrong(count, settings)
            count.at = now() - timedelta(hours=hours)
    await forget(database, settings)
    async with database.reading() as session:
        assert (await session.scalars(select(Audit.about))).all() == ["364.9"]
        assert (await session.scalars(select(WrongLogins.name))).all() == ["young"]


async def test_the_server_forgets_by_itself(settings: BackendSettings) -> None:
    async with surrounded(settings) as server, server.state.database.transaction() as session:
        await audit(session, Origin(), "login", "old")
        await session.execute(update(Audit).values(at=now() - timedelta(days=400)))
    async with surrounded(settings) as server:
        while await lines(server):
            await server.client.get("/api/v1/health")


async def lines(server: Server) -> int:
    async with server.state.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Audit)) or 0
