"""A table, as this process knows it."""

import threading
from collections.abc import Callable

from contanos.bus.contract import Told
from contanos.bus.kafka.append import Appender
from contanos.errors import BusError


class KafkaTable:
    """The contract's `Table`: a compacted topic, and a view of it that one thread keeps.

    Args:
        topic: as the brokers know it.
        appender: writes it.
        end: asks the brokers for the offset that its next record will have.
        seconds: how long its own writes may take to come back.
    """

    def __init__(
        self, topic: str, appender: Appender, end: Callable[[], int], seconds: float
    ) -> None:
        self.topic = topic
        self._appender = appender
        self._end = end
        self._seconds = seconds
        self._changed = threading.Condition(threading.RLock())
        self._values: dict[str, bytes] = {}
        self._followers: list[Told] = []
        self._next = 0

    def put(self, key: str, value: bytes) -> None:
        self._await(self._appender.append(self.topic, key.encode(), value) + 1)

    def remove(self, key: str) -> None:
        self._await(self._appender.append(self.topic, key.encode(), None) + 1)

    def get(self, key: str) -> bytes | None:
        with self._changed:
            return self._values.get(key)

    def items(self) -> dict[str, bytes]:
        with self._changed:
            return dict(self._values)

    def follow(self, told: Told) -> None:
        with self._changed:
            self._followers.append(told)
            for key, value in self._values.items():
                told(key, value)

    def catch_up(self) -> None:
        """Return once the view has all that was written before."""
        self._await(self._end())

    def apply(self, key: str, value: bytes | None, offset: int) -> None:
        """A record has come, from the one thread that reads."""
        with self._changed:
            known = key in self._values
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
            if known or value is not None:
                for told in self._followers:
                    told(key, value)
            self.reached(offset + 1)

    def reached(self, offset: int) -> None:
        """All before `offset` has been applied, or was removed by compaction."""
        with self._changed:
            self._next = max(self._next, offset)
            self._changed.notify_all()

    def _await(self, offset: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._next >= offset, self._seconds):
                raise BusError(
                    f"{self.topic}: nothing came from the brokers in {self._seconds:g} s"
                )
