"""Whose turn it is."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from video_analysis.backend.tasks.queue import Plan, Share, Waiting, plan

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def share(**fields: object) -> Share:
    usual: dict[str, object] = {
        "running": 0,
        "most_running": 4,
        "seconds": 0.0,
        "most_seconds": 3600.0,
        "stored": 0,
        "most_stored": 100,
    }
    return Share(**(usual | fields))  # type: ignore[arg-type]


def waiting(task_id: str, user: str, age: int, priority: int = 0, seconds: float = 60) -> Waiting:
    return Waiting(task_id, user, priority, NOW - timedelta(seconds=age), seconds)


def begun(*tasks: Waiting, running: int = 0, most: int = 10, **shares: Share) -> Plan:
    users = {each.user_id: shares.get(each.user_id, share()) for each in tasks}
    return plan(tasks, users, running, most, NOW)


def test_users_take_turns_though_one_came_first_with_many() -> None:
    many = [waiting(f"a{i}", "ada", 100 - i) for i in range(6)]
    found = begun(*many, waiting("b", "bob", 1), waiting("c", "cyd", 2), most=4)
    assert found.begin == ("a0", "c", "b", "a1")


def test_who_has_tasks_running_waits_for_who_has_none() -> None:
    tasks = waiting("a", "ada", 100), waiting("b", "bob", 1)
    assert begun(*tasks, most=1, ada=share(running=1)).begin == ("b",)


def test_who_waited_longest_for_a_turn_is_next() -> None:
    tasks = waiting("a", "ada", 100), waiting("b", "bob", 1)
    lately = share(began=NOW - timedelta(seconds=5))
    assert begun(*tasks, most=1, ada=lately).begin == ("b",)


def test_priority_counts_among_ones_own_tasks_only() -> None:
    tasks = [waiting("a", "ada", 9), waiting("b", "bob", 8), waiting("b2", "bob", 7, priority=9)]
    assert begun(*tasks, most=2).begin == ("a", "b2")


def test_every_limit_has_its_reason() -> None:
    tasks = [waiting(each, each, 1) for each in ("ada", "bob", "cyd", "dan")]
    found = begun(
        *tasks,
        running=9,
        ada=share(running=4),
        bob=share(seconds=3599.0),
        cyd=share(stored=100),
        dan=share(running=1),
        most=9,
    )
    assert not found.begin
    assert "4 of your tasks are running" in found.reasons["ada"]
    assert "60 minutes of video a day" in found.reasons["bob"]
    assert "you store 100 bytes" in found.reasons["cyd"]
    assert "9 tasks are running" in found.reasons["dan"]


def test_a_short_task_does_not_overtake_a_long_one_of_the_same_user() -> None:
    tasks = waiting("long", "ada", 9, seconds=3601), waiting("short", "ada", 1, seconds=1)
    found = begun(*tasks)
    assert not found.begin
    assert "1 of your own tasks come first" in found.reasons["short"]


USERS = st.sampled_from("abcde")
TASKS = st.lists(
    st.tuples(USERS, st.integers(0, 50), st.integers(-2, 2), st.floats(0, 2000)), max_size=40
)


@given(TASKS, st.dictionaries(USERS, st.integers(0, 6)), st.integers(0, 30))
def test_limits_hold_and_nobody_waits_for_nothing(
    tasks: list[tuple[str, int, int, float]], running: dict[str, int], most: int
) -> None:
    line = [waiting(f"t{i}", u, age, p, s) for i, (u, age, p, s) in enumerate(tasks)]
    shares = {user: share(running=running.get(user, 0)) for user in "abcde"}
    total = sum(running.get(user, 0) for user in "abcde")
    found = plan(line, shares, total, most, NOW)
    assert set(found.begin) | found.reasons.keys() == {each.task_id for each in line}
    assert not set(found.begin) & found.reasons.keys()
    assert not found.begin or total + len(found.begin) <= most
    whose = {each.task_id: each for each in line}
    counts = Counter(whose[each].user_id for each in found.begin)
    for user, count in counts.items():
        assert running.get(user, 0) + count <= 4
        seconds = sum(whose[each].seconds for each in found.begin if whose[each].user_id == user)
        assert seconds <= 3600
    for each in found.reasons:
        user = whose[each].user_id
        first = max(
            (w for w in line if w.user_id == user and w.task_id in found.reasons),
            key=lambda w: (w.priority, -w.created.timestamp()),
        )
        used = sum(whose[t].seconds for t in found.begin if whose[t].user_id == user)
        full = running.get(user, 0) + counts[user] >= 4 or used + first.seconds > 3600
        assert full or total + len(found.begin) >= most


@given(st.lists(USERS, min_size=1, max_size=40), st.integers(1, 12))
def test_nobody_gets_a_second_task_before_everybody_has_one(users: list[str], most: int) -> None:
    line = [waiting(f"t{i}", user, 50 - i, seconds=1) for i, user in enumerate(users)]
    found = plan(line, {user: share(most_running=50) for user in users}, 0, most, NOW)
    counts = Counter(users[int(each[1:])] for each in found.begin)
    for user, there in Counter(users).items():
        others = [counts[each] for each in counts if each != user]
        assert counts[user] == there or all(counts[user] >= other - 1 for other in others)
