"""`memory://`: the bus inside one process. Values pass by reference and nothing outlives it.

One lock guards all: a video gives some hundred records a second, far below what contention needs.
"""

import threading
import time
import zlib
from collections import deque
from collections.abc import Iterable, Mapping

from contanos.bus.contract import Prefixes, Rebalance, Record, TopicPartition, TopicSpec
from contanos.bus.topics import task_of
from contanos.errors import BusError, NotAssigned, TopicExists, TopicFull, UnknownTopic

_PATIENCE = 600.0  # seconds that `send` waits for room before it gives up


class _Log:
    """One partition: the records that some group has yet to commit."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.first = 0
        self.records: deque[Record] = deque()

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def trim(self, offset: int) -> None:
        while self.records and self.first < offset:
            self.records.popleft()
            self.first += 1


class _Group:
    """A consumer group: who is in it, who owns what, and how far it has come."""

    def __init__(self) -> None:
        self.prefixes: set[str] = set()
        self.members: list[MemoryConsumer] = []
        self.committed: dict[TopicPartition, int] = {}

    def reads(self, topic: str) -> bool:
        return any(topic.startswith(prefix) for prefix in self.prefixes)

    def owner(self, source: TopicPartition) -> "MemoryConsumer":
        """The same member for all topics of a task, so that they can be joined."""
        shard = zlib.crc32(task_of(source.topic).encode()) + source.partition
        return self.members[shard % len(self.members)]


class MemoryBus:
    """The contract's `Bus` in this process's memory."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self.changed = threading.Condition()
        self.groups: dict[str, _Group] = {}
        self.logs: dict[TopicPartition, _Log] = {}
        self.closed = False
        self._specs: dict[str, TopicSpec] = {}
        self._states: dict[str, bytes] = {}
        self._patience = patience

    def create_topic(self, name: str, spec: TopicSpec) -> None:
        with self.changed:
            if self._specs.setdefault(name, spec) != spec:
                raise TopicExists(f"topic {name} exists with {self._specs[name]}, not {spec}")
            for partition in range(spec.partitions):
                self.logs.setdefault(TopicPartition(name, partition), _Log(spec.capacity))
            self.changed.notify_all()

    def delete_topic(self, name: str) -> None:
        with self.changed:
            spec = self._specs.pop(name, None)
            for partition in range(spec.partitions if spec else 0):
                source = TopicPartition(name, partition)
                del self.logs[source]
                for group in self.groups.values():
                    group.committed.pop(source, None)
            self.changed.notify_all()

    def topics(self) -> list[str]:
        with self.changed:
            return sorted(self._specs)

    def producer(self) -> "MemoryProducer":
        return MemoryProducer(self)

    def consumer(
        self, group: str, prefixes: Prefixes, rebalance: Rebalance | None = None
    ) -> "MemoryConsumer":
        with self.changed:
            joined = self.groups.setdefault(group, _Group())
            joined.prefixes.update(prefixes)
            consumer = MemoryConsumer(self, joined, rebalance)
            joined.members.append(consumer)
            self.changed.notify_all()
            return consumer

    def committed(self, group: str, source: TopicPartition) -> int:
        with self.changed:
            return self._committed(group, source)

    def end_offset(self, source: TopicPartition) -> int:
        with self.changed:
            return self._log(source).end

    def wait_committed(
        self, groups: Iterable[str], source: TopicPartition, offset: int, timeout: float
    ) -> bool:
        names = list(groups)
        with self.changed:
            return self.changed.wait_for(
                lambda: all(self._committed(name, source) >= offset for name in names), timeout
            )

    def save_state(self, key: str, state: bytes) -> None:
        with self.changed:
            self._states[key] = state

    def load_state(self, key: str) -> bytes | None:
        with self.changed:
            return self._states.get(key)

    def delete_state(self, key: str) -> None:
        with self.changed:
            self._states.pop(key, None)

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.logs.clear()
            self._specs.clear()
            self.changed.notify_all()

    def append(self, source: TopicPartition, key: int, value: object) -> None:
        """Add a record at the end of `source`, waiting for room."""
        with self.changed:
            self.changed.wait_for(lambda: self._has_room(source), self._patience)
            log = self._log(source)
            if len(log.records) >= log.capacity:
                raise TopicFull(
                    f"{source.topic}: {log.capacity} records wait and no consumer made room in "
                    f"{self._patience:g} s; is every stage running?"
                )
            log.records.append(Record(source.topic, source.partition, log.end, key, value))
            self.changed.notify_all()

    def trim(self, source: TopicPartition) -> None:
        """Let go of the records that every group which reads them has committed."""
        readers = [group for group in self.groups.values() if group.reads(source.topic)]
        if log := self.logs.get(source):
            log.trim(min(group.committed.get(source, 0) for group in readers))

    def _has_room(self, source: TopicPartition) -> bool:
        log = self.logs.get(source)
        return log is None or len(log.records) < log.capacity

    def _committed(self, group: str, source: TopicPartition) -> int:
        known = self.groups.get(group)
        return known.committed.get(source, 0) if known else 0

    def _log(self, source: TopicPartition) -> _Log:
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


class MemoryConsumer:
    """One member of a group."""

    def __init__(self, bus: MemoryBus, group: _Group, rebalance: Rebalance | None) -> None:
        self._bus = bus
        self._group = group
        self._rebalance = rebalance
        self._positions: dict[TopicPartition, int] = {}
        self._reading: dict[TopicPartition, _Log] = {}
        self._turn = 0
        self._woken = False

    def poll(self, limit: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        while True:
            with self._bus.changed:
                gone, come = self._follow_assignment()
                if not gone and not come:
                    records = self._take(limit)
                    left = deadline - time.monotonic()
                    if records or self._woken or self._bus.closed or left <= 0:
                        self._woken = False
                        return records
                    self._bus.changed.wait(left)
            self._announce(gone, come)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        with self._bus.changed:
            self._require_owned(offsets)
            self._group.committed.update(offsets)
            for source in offsets:
                self._bus.trim(source)
            self._bus.changed.notify_all()

    def wakeup(self) -> None:
        with self._bus.changed:
            self._woken = True
            self._bus.changed.notify_all()

    def close(self) -> None:
        with self._bus.changed:
            if self in self._group.members:
                self._group.members.remove(self)
            self._positions.clear()
            self._reading.clear()
            self._bus.changed.notify_all()

    def _owns(self, source: TopicPartition) -> bool:
        return self in self._group.members and self._group.owner(source) is self

    def _follow_assignment(self) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """What is no longer ours, or was deleted, and what is from now on."""
        logs = self._bus.logs
        owned = [s for s in sorted(logs) if self._group.reads(s.topic) and self._owns(s)]
        gone = [s for s, log in self._reading.items() if s not in owned or logs[s] is not log]
        for source in gone:
            del self._positions[source], self._reading[source]
        come = [source for source in owned if source not in self._reading]
        for source in come:
            start = self._group.committed.get(source, 0)
            self._reading[source] = logs[source]
            self._positions[source] = max(start, logs[source].first)
        return gone, come

    def _announce(self, gone: list[TopicPartition], come: list[TopicPartition]) -> None:
        """Outside the bus's lock: what is told may take its time."""
        if self._rebalance and gone:
            self._rebalance.revoked(gone)
        if self._rebalance and come:
            self._rebalance.assigned(come)

    def _take(self, limit: int) -> list[Record]:
        """Records of every partition in turn; the next poll begins with the next partition."""
        sources = list(self._positions)
        taken: list[Record] = []
        self._turn += 1
        for i in range(len(sources)):
            share = max(1, (limit - len(taken)) // (len(sources) - i))
            source = sources[(self._turn + i) % len(sources)]
            taken += self._read(source, min(share, limit - len(taken)))
        return taken

    def _read(self, source: TopicPartition, count: int) -> list[Record]:
        log, position = self._bus.logs[source], self._positions[source]
        start = position - log.first
        records = [log.records[i] for i in range(start, min(start + count, len(log.records)))]
        self._positions[source] = position + len(records)
        return records

    def _require_owned(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self._bus.closed:
            raise BusError("the bus is closed")
        for source in offsets:
            if source not in self._positions or not self._owns(source):
                raise NotAssigned(f"{source.topic}, partition {source.partition}: not ours now")
