"""The books: tables on the bus that say what was ordered and what became of it.

`orders` is written by whoever wants a task, `ingests` and `outcomes` by the reconciler. The table
`tasks`, which the stages read, is `contanos.stage.tasks`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from contanos.bus import Bus, Table
from contanos.messages import Reason
from video_analysis.settings import Options

DROPPED = "dropped"
"""Stands for the stage in the failure of a task that nobody wants any more: it is cancelled."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A wish: this file, processed like this, into this folder.

    Attributes:
        task_id: chosen by whoever orders, unique.
        source: the input file, as the reconciler can open it.
        folder: for the outputs, as the stages can write it.
        options: how it is to be processed.
        ordered: when, in seconds since the epoch.
    """

    task_id: str
    source: str
    folder: str
    options: Options
    ordered: float


class IngestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ingest did, noted before it sends the end of the stream.

    Attributes:
        read: frames of the task's range that the source gave, those that could not be decoded
            included.
        published: frames put on the bus.
        failed: of these, the ones that could not be decoded.
        seconds: that decoding and encoding took.
        truncated: why it is known that the source's end is missing; None where it is whole.
        reason: why it stopped.
        fallbacks: frames that could not travel as the codec says, by the reason why.
    """

    read: int
    published: int
    failed: int
    seconds: float
    truncated: str | None
    reason: Reason
    fallbacks: dict[str, int] = msgspec.field(default_factory=dict)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a task ended.

    Attributes:
        reason: `completed` also where the input was cut; the summary then says so.
        at: when, in seconds since the epoch.
        cause: for `failed`, what went wrong, in words for a person.
        kind: for `failed`, the class of the error; one of `contanos.errors`.
    """

    reason: Reason
    at: float
    cause: str | None = None
    kind: str = "TaskFailed"


Entry = TypeVar("Entry", bound=msgspec.Struct)


class Book(Generic[Entry]):
    """One table of entries, by task id."""

    def __init__(self, table: Table, kind: type[Entry]) -> None:
        self._table = table
        self._kind = kind

    def get(self, task_id: str) -> Entry | None:
        """A task's entry, or None."""
        value = self._table.get(task_id)
        return None if value is None else msgspec.json.decode(value, type=self._kind)

    def put(self, task_id: str, entry: Entry) -> None:
        """Write a task's entry."""
        self._table.put(task_id, msgspec.json.encode(entry))

    def remove(self, task_id: str) -> None:
        """Forget a task's entry."""
        self._table.remove(task_id)

    def on_change(self, told: Callable[[], None]) -> None:
        """Have `told` called after every change, by a thread of the bus; it must be quick."""
        self._table.follow(lambda key, value: told())

    def all(self) -> dict[str, Entry]:
        """Every entry that can be read."""
        found = {}
        for task_id in self._table.items():
            try:
                if entry := self.get(task_id):
                    found[task_id] = entry
            except msgspec.MsgspecError:  # written by another version; it must not stop the others
                continue
        return found


@dataclass(frozen=True, slots=True)
class Books:
    """All of them.

    Attributes:
        orders: what is wanted.
        ingests: what was read.
        outcomes: how tasks ended.
    """

    orders: Book[Order]
    ingests: Book[IngestReport]
    outcomes: Book[Outcome]

    @classmethod
    def on(cls, bus: Bus) -> "Books":
        """The books that are kept on `bus`."""
        return cls(
            Book(bus.table("orders"), Order),
            Book(bus.table("ingests"), IngestReport),
            Book(bus.table("outcomes"), Outcome),
        )
