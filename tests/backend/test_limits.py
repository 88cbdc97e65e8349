"""How many requests one may make, who is counted as one, and what is behind a proxy."""

import asyncio
import time
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.clients import ADA, ADMIN, BOB, Person, Server
from tests.backend.surrounded import surrounded
from video_analysis.backend.database.engine import Database
from video_analysis.backend.http.buckets import Buckets
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

ME, LOGIN = "/api/v1/users/me", "/api/v1/login"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 5), max_size=200), st.integers(1, 90))
def test_no_more_than_what_a_bucket_holds_and_gets(pauses: list[float], a_minute: int) -> None:
    clock = Clock()
    buckets, taken = Buckets(a_minute, clock=clock), 0
    for pause in pauses:
        clock.now += pause
        wait = buckets.take("ada")
        taken += wait == 0
        assert taken <= a_minute + (clock.now - 100) * a_minute / 60 + 1e-6
        if wait:
            clock.now += wait + 1e-9
            assert buckets.take("ada") == 0
            taken += 1


def test_buckets_are_apart_bounded_and_take_back() -> None:
    buckets = Buckets(1, most=3, clock=Clock())
    assert buckets.take("ada") == 0
    assert buckets.take("bob") == 0
    assert buckets.take("ada") == pytest.approx(60)
    buckets.give_back("bob")
    assert buckets.take("bob") == 0
    for i in range(10):
        buckets.take(str(i))
    assert len(buckets) == 3


async def asked(server: Server, times: int, **headers: str) -> list[int]:
    return [(await server.client.get(ME, headers=headers)).status_code for _ in range(times)]


@pytest.fixture
def few(settings: BackendSettings) -> BackendSettings:
    """A dozen requests; the client of these tests is a proxy."""
    given = {"requests_a_minute": 12, "trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}
    return BackendSettings(**(settings.model_dump() | given))


async def test_each_user_has_so_many_wherever_they_are(few: BackendSettings) -> None:
    async with surrounded(few) as server:
        await server.let_in(ADA)
        ada, root = await server.log_in(ADA), await server.log_in(ADMIN)
        answers = [
            await asked(server, 4, **ada, **{"X-Forwarded-For": f"192.0.2.{i}"}) for i in range(4)
        ]
        assert [*chain(*answers)] == [200] * 12 + [429] * 4
        assert await asked(server, 2, **root) == [200] * 2
        refused = await server.client.get(ME, headers=ada)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert 1 <= int(refused.headers["Retry-After"]) <= 5


async def test_a_key_counts_for_its_user_once_it_let_in(few: BackendSettings) -> None:
    async with surrounded(few) as server:
        root = await server.log_in(ADMIN)
        wanted = {"name": "lab", "scopes": ["read"]}
        made = (await server.client.post("/api/v1/keys", json=wanted, headers=root)).json()
        key = {"X-API-Key": made["key"]}
        assert await asked(server, 1, **key) == [200]
        assert await asked(server, 11, **key) == [200] * 11
        assert await asked(server, 1, **root) == [429]
        assert await asked(server, 1) == [401], "nobody's requests are apart"


async def test_who_guesses_keys_is_counted_by_address(few: BackendSettings) -> None:
    async with surrounded(few) as server:
        guesses = [
            await asked(server, 1, **{"X-API-Key": f"ctn_{i}", "X-Forwarded-For": "192.0.2.1"})
            for i in range(14)
        ]
        assert [*chain(*guesses)] == [401] * 12 + [429] * 2
        assert await asked(server, 1, **{"X-Forwarded-For": "192.0.2.2"}) == [401]


@pytest.mark.parametrize(
    ("forwarded", "counted_as_one"),
    [
        (["192.0.2.1", "192.0.2.1"], True),
        (["192.0.2.1", "192.0.2.2"], False),
        (["1.1.1.1, 192.0.2.1", "2.2.2.2, 192.0.2.1"], True),
        (["192.0.2.1, 10.1.2.3", "192.0.2.1,10.9.9.9"], True),
        (["192.0.2.1:1000", "192.0.2.1:1001"], True),
        (["::ffff:192.0.2.1", "192.0.2.1"], True),
        (["2001:db8::1", "2001:db8:0:0:ffff::2"], True),
        (["2001:db8::1", "2001:db8:0:1::1"], False),
        (["nonsense, 192.0.2.1", "192.0.2.1"], True),
        (["192.0.2.1, nonsense", "192.0.2.2, nonsense"], True),
        (["", "127.0.0.1"], True),
    ],
)
async def test_the_address_is_what_trusted_proxies_say(
    few: BackendSettings, forwarded: list[str], counted_as_one: bool
) -> None:
    async with surrounded(few) as server:
        first, second = [await asked(server, 12, **{"X-Forwarded-For": each}) for each in forwarded]
        assert first == [401] * 12
        assert second == [429 if counted_as_one else 401] * 12


async def test_what_others_say_of_their_address_is_not_believed(few: BackendSettings) -> None:
    async with surrounded(few, address="192.0.2.7") as server:
        for i in range(12):
            assert await asked(server, 1, **{"X-Forwarded-For": f"10.0.0.{i}"}) == [401]
        assert await asked(server, 1, **{"X-Forwarded-For": "10.1.1.1"}) == [429]


async def test_machines_that_ask_how_it_goes_are_not_counted(few: BackendSettings) -> None:
    async with surrounded(few) as server:
        for path in ("/api/v1/health", "/metrics", "/health", "/ready"):
            answers = [(await server.client.get(path)).status_code for _ in range(15)]
            assert set(answers) == ({200} if path == "/api/v1/health" else {404})


async def test_names_cannot_be_tried_in_turn(settings: BackendSettings) -> None:
    many = {"login_attempts_a_minute": 10, "trusted_proxies": ["127.0.0.1"]}
    async with surrounded(BackendSettings(**(settings.model_dump() | many))) as server:
        await server.let_in(ADA)
        here, elsewhere = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        for _ in range(12):  # who is right is not counted
            assert (await login(server, ADA, here))[0] == 200
        tried = [(await login(server, Person(f"n{i}", "guess"), here))[0] for i in range(12)]
        assert tried == [401] * 10 + [429] * 2
        assert (await login(server, ADA, here))[0] == 429
        assert (await login(server, ADA, elsewhere))[0] == 200


async def login(server: Server, who: Person, headers: dict[str, str]) -> tuple[int, str]:
    answer = await server.client.post(LOGIN, json=who._asdict(), headers=headers)
    return answer.status_code, answer.text


async def test_no_answer_tells_whether_a_name_is_somebodys(server: Server) -> None:
    """Nor the first locks, nor the time that it takes."""
    await server.let_in(ADA)
    guess = "guess-after-guess"
    told: dict[str, list[object]] = {}
    took: dict[str, list[float]] = {"ada": [], "bob": []}
    for name in ("ada", "bob"):
        answers = []
        for _ in range(7):
            began = time.perf_counter()
            sent = {"name": name, "password": guess}
            answer = await server.client.post(LOGIN, json=sent)
            took[name].append(time.perf_counter() - began)
            said = {key: answer.json()[key] for key in ("title", "status")}
            answers.append((said, answer.json()["detail"].split(":")[0], set(answer.headers)))
        told[name] = list(answers)
    assert told["ada"] == told["bob"]
    assert [each[0]["status"] for each in told["bob"]] == [401] * 5 + [429] * 2  # type: ignore[index]
    fast, slow = sorted((min(took["ada"][:5]), min(took["bob"][:5])))
    assert fast > 0.4 * slow, "one of them is answered without hashing"


async def test_a_name_that_many_try_at_once_is_locked_on_either_database(
    settings: BackendSettings, database: Database
) -> None:
    """Somebody's and nobody's alike, and no try more than is allowed."""
    url = database.url.render_as_string(hide_password=False).replace("+aiosqlite", "")
    shared = settings.model_copy(update={"database_url": url.replace("+asyncpg", "")})
    async with surrounded(shared) as server:
        await server.let_in(ADA)
        for name in (ADA.name, BOB.name):
            guess = Person(name, "guess-after-guess")
            answers = await asyncio.gather(*(login(server, guess, {}) for _ in range(8)))
            assert sorted(status for status, _ in answers) == [401] * 5 + [429] * 3


async def test_passwords_cannot_be_tried_with_a_stolen_token(server: Server) -> None:
    await server.let_in(ADA)
    ada = await server.log_in(ADA)
    change = {"old": "guess-after-guess", "new": "mine-from-now-on"}
    answers = [
        (await server.client.put(f"{ME}/password", json=change, headers=ada)).status_code
        for _ in range(6)
    ]
    assert answers == [403] * 5 + [429]
    right = change | {"old": ADA.password}
    refused = await server.client.put(f"{ME}/password", json=right, headers=ada)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0


async def test_what_no_database_can_store_is_refused_and_no_defect(
    settings: BackendSettings, database: Database
) -> None:
    """PostgreSQL has no text with a NUL in it; SQLite minds nothing."""
    url = database.url.render_as_string(hide_password=False).replace("+aiosqlite", "")
    shared = settings.model_copy(update={"database_url": url.replace("+asyncpg", "")})
    async with surrounded(shared) as server:
        who = await server.log_in(ADMIN)
        assert (await login(server, Person("a\0b", "guess"), {}))[0] in (401, 422)
        for path in ("uploads/a%00b", "users/a%00b", "uploads?after=2026-01-01T00:00:00Z~a%00b"):
            answer = await server.client.get(f"/api/v1/{path}", headers=who)
            assert answer.status_code in (404, 422)
            assert answer.headers["Content-Type"] == "application/problem+json"
