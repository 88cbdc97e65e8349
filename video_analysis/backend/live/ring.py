"""The newest frames of a task, for all who watch it."""

import threading
from collections import deque
from collections.abc import Iterable
from itertools import islice

_MOST_BYTES = 16 << 20


class Ring:
    """A bounded row of frames as texts, one behind the other; old ones make room for new ones.

    Each viewer remembers the frame that it wants next, so however many there are, each frame is
    held once. Safe from any thread.

    Args:
        first: the number of the first frame that will be added.
        room: frames that it holds at most; fewer where they are large.
    """

    def __init__(self, first: int, room: int) -> None:
        self._lock = threading.Lock()
        self._first = first
        self._room = room
        self._texts: deque[str] = deque()
        self._size = 0

    @property
    def first(self) -> int:
        """The oldest frame that is held; the next one, where none is."""
        return self._first

    @property
    def next(self) -> int:
        """The frame that will be added next."""
        with self._lock:
            return self._first + len(self._texts)

    def add(self, texts: Iterable[str]) -> None:
        """Add frames; they follow one another."""
        with self._lock:
            for text in texts:
                self._texts.append(text)
                self._size += len(text)
            while len(self._texts) > self._room or (
                self._size > _MOST_BYTES and len(self._texts) > 1
            ):
                self._size -= len(self._texts.popleft())
                self._first += 1

    def since(self, frame_id: int, limit: int) -> list[str] | None:
        """At most `limit` frames from `frame_id` on; None where that one is no longer held."""
        with self._lock:
            start = frame_id - self._first
            return list(islice(self._texts, start, start + limit)) if start >= 0 else None
