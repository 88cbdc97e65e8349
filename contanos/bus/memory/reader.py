"""A reader outside of every group, in memory."""

from typing import TYPE_CHECKING

from contanos.bus.contract import Record, TopicPartition
from contanos.bus.memory.log import Log
from contanos.errors import UnknownTopic

if TYPE_CHECKING:
    from contanos.bus.memory.bus import MemoryBus


class MemoryReader:
    """The contract's `Reader`."""

    def __init__(self, bus: "MemoryBus", source: TopicPartition, log: Log, offset: int) -> None:
        self._bus = bus
        self._source = source
        self._log = log
        self._next = offset
        self._closed = False

    def poll(self, limit: int, timeout: float) -> list[Record]:
        with self._bus.changed:
            self._bus.changed.wait_for(self._stirred, timeout)
            if self._closed:
                return []
            self._bus.ready()
            if self._gone:
                raise UnknownTopic(f"topic {self._source.topic} was deleted while it was read")
            records = self._log.read(self._position, limit)
            self._next = self._position + len(records)
            return records

    def close(self) -> None:
        with self._bus.changed:
            self._closed = True
            self._bus.changed.notify_all()

    @property
    def _position(self) -> int:
        return max(self._next, self._log.first)

    @property
    def _gone(self) -> bool:
        return self._bus.logs.get(self._source) is not self._log

    def _stirred(self) -> bool:
        """Whether there is anything to return for."""
        return self._closed or self._bus.closed or self._gone or self._log.end > self._position
