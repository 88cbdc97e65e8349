"""The tasks that there are: one table on the bus, the same for every process.

Keys: `<task_id>` for the task itself, `<task_id>/cancel`, `<task_id>/failure`. What a failure says
is kept; who said it first wins as far as this process can tell.
"""

import threading
from collections.abc import Callable

import msgspec
import structlog

from contanos import errors
from contanos.bus.contract import Bus
from contanos.errors import ContanosError, TaskFailed
from contanos.stage.contract import Task

TABLE = "tasks"
_CANCEL, _FAILURE = "cancel", "failure"

log = structlog.get_logger(__name__)


class Failure(msgspec.Struct, frozen=True):
    """What ended a task.

    Attributes:
        stage: where.
        cause: what was raised there, in words.
        kind: its class, if it is one of `contanos.errors`; otherwise `TaskFailed`.
    """

    stage: str
    cause: str
    kind: str = "TaskFailed"

    @classmethod
    def of(cls, stage: str, error: BaseException) -> "Failure":
        """The failure that `error` is."""
        kind = type(error).__name__ if isinstance(error, ContanosError) else "TaskFailed"
        return cls(stage, str(error) or repr(error), kind)

    def error(self) -> ContanosError:
        """It, to be raised."""
        kind = getattr(errors, self.kind, TaskFailed)
        known = isinstance(kind, type) and issubclass(kind, ContanosError)
        return (kind if known else TaskFailed)(str(self))

    def __str__(self) -> str:
        return f"{self.stage}: {self.cause}"


class Tasks:
    """What is known of the tasks on a bus. Safe from any thread.

    Args:
        bus: where the table is.
        read: turns a task's value in the table into the task.
    """

    def __init__(self, bus: Bus, read: Callable[[bytes], Task]) -> None:
        self._changed = threading.Condition()
        self._read = read
        self._tasks: dict[str, Task] = {}
        self._cancelled: set[str] = set()
        self._failures: dict[str, Failure] = {}
        self._table = bus.table(TABLE)
        self._table.follow(self._told)

    def add(self, task_id: str, value: bytes) -> None:
        """Make a task known to every process; `read` understands `value`."""
        self._table.put(task_id, value)

    def remove(self, task_id: str) -> None:
        """Forget a task everywhere; its topics are gone by now."""
        for key in (task_id, f"{task_id}/{_CANCEL}", f"{task_id}/{_FAILURE}"):
            self._table.remove(key)

    def get(self, task_id: str) -> Task | None:
        """The task, or None where it is not known."""
        with self._changed:
            return self._tasks.get(task_id)

    def known(self) -> list[Task]:
        """All tasks."""
        with self._changed:
            return list(self._tasks.values())

    def cancel(self, task_id: str) -> None:
        """Ask for an early end: frames on their way are finished, no new one is begun."""
        self._table.put(f"{task_id}/{_CANCEL}", b"")

    def cancelled(self, task_id: str) -> bool:
        """Whether somebody asked for an early end."""
        with self._changed:
            return task_id in self._cancelled

    def fail(self, task_id: str, stage: str, error: BaseException) -> None:
        """A task cannot go on; the first failure is kept."""
        if self.failure(task_id) is None:
            failure = Failure.of(stage, error)
            self._table.put(f"{task_id}/{_FAILURE}", msgspec.json.encode(failure))

    def failure(self, task_id: str) -> Failure | None:
        """Why the task failed, or None."""
        with self._changed:
            return self._failures.get(task_id)

    def wait(self, timeout: float) -> None:
        """Return at the next change, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait(timeout)

    def _told(self, key: str, value: bytes | None) -> None:
        task_id, _, what = key.partition("/")
        with self._changed:
            try:
                self._note(task_id, what, value)
            except Exception as e:  # what one program wrote badly must not stop the others
                log.warning("unreadable entry of the task table", key=key, cause=str(e))
            self._changed.notify_all()

    def _note(self, task_id: str, what: str, value: bytes | None) -> None:
        if what == _CANCEL:
            (self._cancelled.discard if value is None else self._cancelled.add)(task_id)
        elif what == _FAILURE and value is None:
            self._failures.pop(task_id, None)
        elif what == _FAILURE and value is not None:
            self._failures.setdefault(task_id, msgspec.json.decode(value, type=Failure))
        elif not what and value is None:
            self._tasks.pop(task_id, None)
        elif not what and value is not None:
            self._tasks[task_id] = self._read(value)
