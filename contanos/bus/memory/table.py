"""A table, in memory."""

import threading

from contanos.bus.contract import Told


class MemoryTable:
    """The contract's `Table`; changes are told in the thread that makes them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._values: dict[str, bytes] = {}
        self._followers: list[Told] = []

    def put(self, key: str, value: bytes) -> None:
        with self._lock:
            self._values[key] = value
            self._tell(key, value)

    def remove(self, key: str) -> None:
        with self._lock:
            if self._values.pop(key, None) is not None:
                self._tell(key, None)

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._values.get(key)

    def items(self) -> dict[str, bytes]:
        with self._lock:
            return dict(self._values)

    def follow(self, told: Told) -> None:
        with self._lock:
            self._followers.append(told)
            for key, value in self._values.items():
                told(key, value)

    def _tell(self, key: str, value: bytes | None) -> None:
        for told in self._followers:
            told(key, value)
