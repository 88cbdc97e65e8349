"""Frames a second, as somebody sees them who looks at a counter now and then."""

from collections import deque
from collections.abc import Collection

_WINDOW = 10.0  # seconds


class Pace:
    """The pace of many tasks. One thread at a time."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def note(self, task_id: str, frames: int, now: float) -> float | None:
        """Frames a second since about ten seconds ago, or since the task was first looked at.

        Args:
            task_id: whose counter it is.
            frames: what it says.
            now: in seconds; never runs backwards.

        Returns:
            None at the first look.
        """
        seen = self._seen.setdefault(task_id, deque())
        while len(seen) > 1 and seen[1][0] <= now - _WINDOW:
            seen.popleft()
        then, before = seen[0] if seen else (now, frames)
        seen.append((now, frames))
        return max(0.0, (frames - before) / (now - then)) if now > then else None

    def keep(self, task_ids: Collection[str]) -> None:
        """Forget all others."""
        for gone in self._seen.keys() - set(task_ids):
            del self._seen[gone]
