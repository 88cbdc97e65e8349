"""The bus in this process's memory.

One lock guards all: a video gives some hundred records a second, far below what contention needs.
"""

import threading
import time
from collections.abc import Iterable

from contanos.bus.contract import (
    Position,
    Prefixes,
    Rebalance,
    Record,
    TopicPartition,
    TopicSpec,
    Wants,
)
from contanos.bus.memory.consumer import MemoryConsumer
from contanos.bus.memory.group import Group
from contanos.bus.memory.log import Log
from contanos.bus.memory.reader import MemoryReader
from contanos.bus.memory.table import MemoryTable
from contanos.errors import BusError, TopicExists, TopicFull, UnknownTopic

_PATIENCE = 600.0  # seconds that `send` waits for room before it gives up


class MemoryBus:
    """The contract's `Bus`.

    Attributes:
        changed: guards everything here; told of every change.
        logs: the partitions there are.
        partitions: how many each topic has.
        closed: whether nothing works any more.
    """

    commit_interval = 0.0
    by_reference = True

    def __init__(self, patience: float = _PATIENCE) -> None:
        self.changed = threading.Condition()
        self.logs: dict[TopicPartition, Log] = {}
        self.partitions: dict[str, int] = {}
        self.closed = False
        self._groups: dict[str, Group[MemoryConsumer]] = {}
        self._specs: dict[str, TopicSpec] = {}
        self._tables: dict[str, MemoryTable] = {}
        self._patience = patience

    def create_topic(self, name: str, spec: TopicSpec) -> None:
        with self.changed:
            if self._specs.setdefault(name, spec) != spec:
                raise TopicExists(f"topic {name} exists with {self._specs[name]}, not {spec}")
            self.partitions[name] = spec.partitions
            for partition in range(spec.partitions):
                self.logs.setdefault(TopicPartition(name, partition), Log(spec))
            self.changed.notify_all()

    def delete_topic(self, name: str) -> None:
        with self.changed:
            self._specs.pop(name, None)
            for partition in range(self.partitions.pop(name, 0)):
                source = TopicPartition(name, partition)
                del self.logs[source]
                for group in self._groups.values():
                    group.forget(source)
            self.changed.notify_all()

    def topics(self) -> list[str]:
        with self.changed:
            return sorted(self._specs)

    def producer(self) -> "MemoryProducer":
        return MemoryProducer(self)

    def consumer(
        self,
        group: str,
        prefixes: Prefixes,
        rebalance: Rebalance | None = None,
        wants: Wants | None = None,
    ) -> MemoryConsumer:
        with self.changed:
            joined = self._groups.setdefault(group, Group())
            joined.prefixes = tuple(prefixes)
            consumer = MemoryConsumer(self, joined, rebalance)
            joined.members.append(consumer)
            self.changed.notify_all()
            return consumer

    def reader(self, source: TopicPartition, offset: int) -> MemoryReader:
        with self.changed:
            return MemoryReader(self, source, self._log(source), offset)

    def committed(self, group: str, source: TopicPartition) -> Position:
        with self.changed:
            known = self._groups.get(group)
            return known.committed.get(source, Position(0)) if known else Position(0)

    def positions(self, group: str) -> dict[TopicPartition, Position]:
        with self.changed:
            known = self._groups.get(group)
            return dict(known.committed) if known else {}

    def load_state(self, group: str, source: TopicPartition) -> bytes | None:
        with self.changed:
            known = self._groups.get(group)
            return known.states.get(source) if known else None

    def end_offset(self, source: TopicPartition) -> int:
        with self.changed:
            return self._log(source).end

    def last_record(self, source: TopicPartition) -> Record | None:
        with self.changed:
            return self._log(source).last

    def wait_committed(
        self, groups: Iterable[str], source: TopicPartition, offset: int, timeout: float
    ) -> bool:
        names = list(groups)
        with self.changed:
            return self.changed.wait_for(
                lambda: all(self._offset(name, source) >= offset for name in names), timeout
            )

    def table(self, name: str) -> MemoryTable:
        with self.changed:
            return self._tables.setdefault(name, MemoryTable())

    def ready(self) -> None:
        if self.closed:
            raise BusError("the bus is closed")

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.logs.clear()
            self.partitions.clear()
            self._specs.clear()
            self.changed.notify_all()

    def append(self, source: TopicPartition, key: int, value: object) -> None:
        """Add a record at the end of `source`, waiting for room."""
        with self.changed:
            self.changed.wait_for(lambda: self._has_room(source), self._patience)
            log = self._log(source)
            if log.full:
                raise TopicFull(
                    f"{source.topic}: {log.spec.capacity} records wait and no consumer made room "
                    f"in {self._patience:g} s; is every stage running?"
                )
            log.append(Record(*source, log.end, key, value, time.time()))
            self.trim(source)
            self.changed.notify_all()

    def trim(self, source: TopicPartition) -> None:
        """Let go of the records that every reader has committed."""
        if (log := self.logs.get(source)) and log.spec.readers:
            log.trim(min(self._offset(reader, source) for reader in log.spec.readers))

    def _has_room(self, source: TopicPartition) -> bool:
        log = self.logs.get(source)
        return log is None or not log.full

    def _offset(self, group: str, source: TopicPartition) -> int:
        known = self._groups.get(group)
        return known.offset(source) if known else 0

    def _log(self, source: TopicPartition) -> Log:
        if source not in self.logs:
            raise UnknownTopic(f"no topic {source.topic}, partition {source.partition}")
        return self.logs[source]


class MemoryProducer:
    """Appends straight to the log, so everything sent is acknowledged."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def send(self, topic: str, key: int, value: object, partition: int = 0) -> None:
        self._bus.append(TopicPartition(topic, partition), key, value)

    def flush(self) -> None:
        """Nothing waits: `send` returns when the record is in the log."""
