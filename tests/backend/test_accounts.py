"""Who comes in, and who does not."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.backend.clients import ADA, ADMIN, BOB, Person, Server
from video_analysis.backend.accounts.tokens import Claims, Tokens
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import ApiKey, Login, User, WrongLogins

pytestmark = pytest.mark.anyio

ME = "/api/v1/users/me"


async def test_a_login_gives_tokens_that_let_in(server: Server) -> None:
    await server.let_in(ADA)
    found = await server.client.get(ME, headers=await server.log_in(ADA))
    assert found.status_code == 200
    assert (found.json()["name"], found.json()["role"]) == ("ada", "user")
    assert "password" not in found.text


@pytest.mark.parametrize("who", [Person("ada", "wrong-password"), Person("nobody", "at-all-there")])
async def test_wrong_names_and_passwords_are_told_apart_by_nobody(
    server: Server, who: Person
) -> None:
    await server.let_in(ADA)
    answer = await server.client.post("/api/v1/login", json=who._asdict())
    assert answer.status_code == 401
    assert answer.json()["detail"] == "wrong name or password"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_many_wrong_passwords_lock_a_name_even_when_tried_at_once(server: Server) -> None:
    await server.let_in(ADA)
    wrong = Person("ada", "guess-after-guess")._asdict()
    answers = await asyncio.gather(
        *(server.client.post("/api/v1/login", json=wrong) for _ in range(8))
    )
    assert sorted(each.status_code for each in answers) == [401] * 5 + [429] * 3
    locked = await server.client.post("/api/v1/login", json=ADA._asdict())
    assert locked.status_code == 429
    assert 290 <= int(locked.headers["retry-after"]) <= 300
    async with server.state.database.transaction() as session:
        count = await session.scalar(select(WrongLogins))
        assert count
        count.locked_until = now() - timedelta(seconds=1)
    await server.log_in(ADA)


async def test_a_refresh_token_is_good_once_and_its_thief_ends_the_login(server: Server) -> None:
    await server.let_in(ADA)
    first = (await server.client.post("/api/v1/login", json=ADA._asdict())).json()
    second = await server.client.post("/api/v1/login/refresh", json=first)
    assert second.status_code == 200
    headers = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert (await server.client.get(ME, headers=headers)).status_code == 200
    again = await server.client.post("/api/v1/login/refresh", json=first)
    assert again.status_code == 401
    assert (await server.client.get(ME, headers=headers)).status_code == 401
    heir = await server.client.post("/api/v1/login/refresh", json=second.json())
    assert heir.status_code == 401


async def test_logging_out_ends_the_tokens(server: Server) -> None:
    headers = await server.log_in(ADMIN)
    assert (await server.client.delete("/api/v1/login", headers=headers)).status_code == 204
    assert (await server.client.get(ME, headers=headers)).status_code == 401


async def test_tokens_of_others_and_of_yesterday_are_refused(server: Server) -> None:
    async with server.state.database.reading() as session:
        admin = await session.scalar(select(User))
    assert admin
    forged = Tokens("another key, just as long as ours is", 60)
    old = Tokens(server.state.settings.signing_key(), -1)
    for tokens in (forged, old):
        token = tokens.make(Claims(admin.id, "none"))
        answer = await server.client.get(ME, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_does_what_its_scopes_say_until_it_is_revoked(server: Server) -> None:
    await server.let_in(ADA)
    headers = await server.log_in(ADA)
    wanted = {"name": "lab", "scopes": ["read"]}
    made = await server.client.post("/api/v1/keys", json=wanted, headers=headers)
    assert made.status_code == 201
    shown = {"X-API-Key": made.json()["key"]}
    assert (await server.client.get(ME, headers=shown)).json()["name"] == "ada"
    bearer = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await server.client.get(ME, headers=bearer)).status_code == 200
    refused = await server.client.post("/api/v1/keys", json=wanted, headers=shown)
    assert refused.status_code == 403
    listed = (await server.client.get("/api/v1/keys", headers=headers)).json()
    assert [each["name"] for each in listed] == ["lab"]
    assert listed[0]["last_used"]
    assert "key" not in listed[0]
    place = f"/api/v1/keys/{made.json()['id']}"
    assert (await server.client.delete(place, headers=headers)).status_code == 204
    assert (await server.client.get(ME, headers=shown)).status_code == 401


async def test_a_key_may_no_more_than_its_maker_nor_be_another_users(server: Server) -> None:
    await server.let_in(ADA)
    await server.let_in(BOB)
    ada, bob = await server.log_in(ADA), await server.log_in(BOB)
    over = {"name": "all", "scopes": ["admin", "read"]}
    assert (await server.client.post("/api/v1/keys", json=over, headers=ada)).status_code == 403
    mine = {"name": "mine", "scopes": ["read", "write"]}
    made = (await server.client.post("/api/v1/keys", json=mine, headers=ada)).json()
    place = f"/api/v1/keys/{made['id']}"
    assert (await server.client.delete(place, headers=bob)).status_code == 404
    assert (await server.client.get("/api/v1/keys", headers=bob)).json() == []


async def test_an_expired_key_is_refused(server: Server) -> None:
    headers = await server.log_in(ADMIN)
    wanted = {"name": "old", "scopes": ["read"], "expires": "2020-01-01T00:00:00Z"}
    made = (await server.client.post("/api/v1/keys", json=wanted, headers=headers)).json()
    answer = await server.client.get(ME, headers={"X-API-Key": made["key"]})
    assert answer.status_code == 401


async def test_accounts_are_the_administrators(server: Server) -> None:
    ada = await server.let_in(ADA)
    headers = await server.log_in(ADA)
    for method, path in [("GET", "/users"), ("POST", "/users"), ("GET", f"/users/{ada}")]:
        answer = await server.client.request(
            method, f"/api/v1{path}", headers=headers, json=BOB._asdict()
        )
        assert answer.status_code == 403


async def test_a_locked_account_is_out_at_once(server: Server) -> None:
    ada = await server.let_in(ADA)
    headers, admin = await server.log_in(ADA), await server.log_in(ADMIN)
    locked = await server.client.patch(
        f"/api/v1/users/{ada}", json={"active": False}, headers=admin
    )
    assert locked.json()["active"] is False
    assert (await server.client.get(ME, headers=headers)).status_code == 401
    assert (await server.client.post("/api/v1/login", json=ADA._asdict())).status_code == 401


async def test_a_new_password_ends_all_logins(server: Server) -> None:
    await server.let_in(ADA)
    headers, elsewhere = await server.log_in(ADA), await server.log_in(ADA)
    change = {"old": ADA.password, "new": "difference-engine"}
    done = await server.client.put(f"{ME}/password", json=change, headers=headers)
    assert done.status_code == 204
    for each in (headers, elsewhere):
        assert (await server.client.get(ME, headers=each)).status_code == 401
    await server.log_in(Person("ada", "difference-engine"))


async def test_a_viewer_belongs_to_a_user(server: Server) -> None:
    ada = await server.let_in(ADA)
    await server.let_in(BOB, role="viewer", views=ada)
    me = (await server.client.get(ME, headers=await server.log_in(BOB))).json()
    assert (me["role"], me["views"]) == ("viewer", ada)
    admin = await server.log_in(ADMIN)
    for wrong in ({"role": "viewer"}, {"views": ada}, {"role": "viewer", "views": "nobody"}):
        body = {"name": "eve", "password": "eavesdropping"} | wrong
        answer = await server.client.post("/api/v1/users", json=body, headers=admin)
        assert answer.status_code == 422


async def test_a_name_is_taken_once(server: Server) -> None:
    await server.let_in(ADA)
    admin = await server.log_in(ADMIN)
    answer = await server.client.post("/api/v1/users", json=ADA._asdict(), headers=admin)
    assert answer.status_code == 409


async def test_secrets_are_not_in_the_database(server: Server) -> None:
    headers = await server.log_in(ADMIN)
    wanted = {"name": "k", "scopes": ["read"]}
    key = (await server.client.post("/api/v1/keys", json=wanted, headers=headers)).json()["key"]
    async with server.state.database.reading() as session:
        stored = await session.scalar(select(ApiKey.secret))
        tokens = (await session.scalars(select(Login.token))).all()
        password = await session.scalar(select(User.password))
    assert stored
    assert password
    assert key not in stored
    assert all(len(each) == 64 for each in tokens)
    assert password.startswith("$argon2id$")
