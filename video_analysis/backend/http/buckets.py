"""Token buckets: so much at once, and then so much a minute."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 20_000  # buckets; who was silent longest is forgotten first, and soon had a full one


class Buckets:
    """One bucket for each key, full at first. Each process has its own.

    Args:
        a_minute: tokens that a bucket holds, and that come back in a minute.
        most: buckets that are remembered.
        clock: seconds that never run backwards.
    """

    def __init__(
        self, a_minute: int, most: int = _MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._full = float(a_minute)
        self._rate = a_minute / 60
        self._most = most
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str) -> float:
        """Take a token if there is one.

        Returns:
            Seconds until there is one; 0 if it was taken.
        """
        level = self._level(key)
        taken = level >= 1
        self._put(key, level - 1 if taken else level)
        return 0.0 if taken else (1 - level) / self._rate

    def give_back(self, key: str) -> None:
        """Put a token back that was not used."""
        self._put(key, min(self._full, self._level(key) + 1))

    def _level(self, key: str) -> float:
        level, at = self._levels.get(key, (self._full, self._clock()))
        return min(self._full, level + (self._clock() - at) * self._rate)

    def _put(self, key: str, level: float) -> None:
        self._levels[key] = (level, self._clock())
        self._levels.move_to_end(key)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
