"""Whose task is next, and why the others wait. Pure: what the database says goes in.

Users take turns by what they have: whoever has fewest tasks running is next, and among equals
whoever has waited longest since a task of theirs began. So nobody's many or long tasks keep
another's first one from its turn. Within one user's tasks the higher priority is first, then the
older.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that is queued.

    Attributes:
        task_id: which.
        user_id: whose.
        priority: among that user's tasks.
        created: when.
        seconds: of video that it will cost; 0 where nobody knows.
    """

    task_id: str
    user_id: str
    priority: int
    created: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Share:
    """What one user has, and may have.

    Attributes:
        running: tasks that run.
        most_running: that may.
        seconds: of video begun within a day.
        most_seconds: that may be.
        stored: bytes.
        most_stored: that may be.
        began: when a task of theirs began last; None if none did.
    """

    running: int
    most_running: int
    seconds: float
    most_seconds: float
    stored: int
    most_stored: int
    began: datetime | None = None

    def obstacle(self, seconds: float) -> str | None:
        """Why a task of so many seconds of video cannot begin now; None if it can."""
        if self.running >= self.most_running:
            return (
                f"{self.running} of your tasks are running, and {self.most_running} may: it "
                "begins when one of them is over"
            )
        if self.seconds + seconds > self.most_seconds:
            return (
                f"{self.seconds / 60:.0f} of your {self.most_seconds / 60:g} minutes of video a "
                f"day are used, and it takes {seconds / 60:.1f}: it begins once fewer are"
            )
        if self.stored >= self.most_stored:
            return (
                f"you store {self.stored} bytes, and may {self.most_stored}: it begins once you "
                "have deleted uploads or tasks that you no longer need"
            )
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        begin: tasks to begin now, in order.
        reasons: why each of the others waits, by task id.
    """

    begin: tuple[str, ...]
    reasons: dict[str, str]


def plan(
    waiting: Iterable[Waiting], shares: Mapping[str, Share], running: int, most: int, now: datetime
) -> Plan:
    """Whose turn it is.

    Args:
        waiting: all tasks that are queued.
        shares: of every user who has one, by user id.
        running: tasks of all users that run.
        most: that may.
        now: with its time zone.
    """
    left, shares, begin = _in_line(waiting), dict(shares), list[str]()
    while running + len(begin) < most and (task := _next(left, shares)):
        left.remove(task)
        begin.append(task.task_id)
        share = shares[task.user_id]
        shares[task.user_id] = replace(
            share, running=share.running + 1, seconds=share.seconds + task.seconds, began=now
        )
    return Plan(tuple(begin), _reasons(left, shares, running + len(begin)))


def _in_line(waiting: Iterable[Waiting]) -> list[Waiting]:
    return sorted(waiting, key=lambda each: (-each.priority, each.created, each.task_id))


def _next(left: Sequence[Waiting], shares: Mapping[str, Share]) -> Waiting | None:
    """Of each user the first task alone is looked at: a smaller one never overtakes it."""
    heads = {each.user_id: each for each in reversed(left)}
    fit = [each for each in heads.values() if not shares[each.user_id].obstacle(each.seconds)]
    return min(fit, key=lambda each: _turn(shares[each.user_id], each), default=None)


def _turn(share: Share, task: Waiting) -> tuple[int, datetime, datetime, str]:
    return share.running, share.began or _NEVER, task.created, task.task_id


def _reasons(left: Sequence[Waiting], shares: Mapping[str, Share], running: int) -> dict[str, str]:
    reasons, before = {}, dict.fromkeys(shares, 0)
    for each in left:
        ahead, before[each.user_id] = before[each.user_id], before[each.user_id] + 1
        why = shares[each.user_id].obstacle(each.seconds)
        if not why and ahead:
            why = f"{ahead} of your own tasks come first"
        reasons[each.task_id] = why or (
            f"{running} tasks are running, as many as this server runs at once: users take turns"
        )
    return reasons
