"""A member of a consumer group, in memory."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from contanos.bus.contract import Position, Rebalance, Record, TopicPartition
from contanos.bus.memory.group import Group
from contanos.bus.memory.log import Log
from contanos.errors import BusError, NotAssigned, SettingError

if TYPE_CHECKING:
    from contanos.bus.memory.bus import MemoryBus


class MemoryConsumer:
    """The contract's `Consumer`."""

    def __init__(
        self, bus: "MemoryBus", group: "Group[MemoryConsumer]", rebalance: Rebalance | None
    ) -> None:
        self._bus = bus
        self._group = group
        self._rebalance = rebalance
        self._positions: dict[TopicPartition, int] = {}
        self._reading: dict[TopicPartition, Log] = {}
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

    def commit(self, positions: Mapping[TopicPartition, Position]) -> None:
        with self._bus.changed:
            self._require_owned(positions)
            for source, position in positions.items():
                self._group.commit(source, position)
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

    def _follow_assignment(self) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """What is no longer ours, or was deleted, and what is from now on."""
        logs = self._bus.logs
        owned = [each for each in sorted(logs) if self._owns(each)]
        gone = [s for s, log in self._reading.items() if s not in owned or logs[s] is not log]
        for source in gone:
            del self._positions[source], self._reading[source]
        come = [source for source in owned if source not in self._reading]
        for source in come:
            self._reading[source] = logs[source]
            self._positions[source] = max(self._group.offset(source), logs[source].first)
        return gone, come

    def _owns(self, source: TopicPartition) -> bool:
        group = self._group
        return group.reads(source.topic) and group.owner(source, self._bus.partitions) is self

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
        log = self._reading[source]
        position = max(self._positions[source], log.first)  # who is no reader may be left behind
        records = log.read(position, count)
        self._positions[source] = position + len(records)
        return records

    def _require_owned(self, positions: Mapping[TopicPartition, Position]) -> None:
        if self._bus.closed:
            raise BusError("the bus is closed")
        for source, position in positions.items():
            if source not in self._positions or not self._owns(source):
                raise NotAssigned(f"{source.topic}, partition {source.partition}: not ours now")
            if position.state is not None and not self._reading[source].spec.states:
                raise SettingError(f"topic {source.topic} was made without states")
