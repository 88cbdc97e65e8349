"""The join: the records of one frame, brought together by `frame_id` and never by the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contanos.bus.contract import TopicPartition


class Origin(NamedTuple):
    """Where a record lies, and when it was sent."""

    source: TopicPartition
    offset: int
    timestamp: float


@dataclass(frozen=True, slots=True)
class Joined:
    """One value of each input for the same frame, and the records that they came in."""

    frame_id: int
    values: tuple[object, ...]
    origins: tuple[Origin, ...]


class FrameJoin:
    """Pairs records of several streams by `frame_id`; the last stream decides the order.

    Records of one stream may come more than once: what was already handed on, or already waits, is
    dropped and counted in `repeats`.

    Args:
        inputs: how many streams there are.
        next_frame_id: the first frame to hand on.
        contiguous: hand on every frame from there, whatever order they come in. Otherwise the last
            stream holds some of the task's frames only, in their order.
    """

    def __init__(self, inputs: int, next_frame_id: int = 0, contiguous: bool = True) -> None:
        self.repeats = 0
        self.next_frame_id = next_frame_id
        self._contiguous = contiguous
        self._waiting: Sequence[dict[int, tuple[object, Origin]]] = [{} for _ in range(inputs)]

    def add(self, index: int, frame_id: int, value: object, origin: Origin) -> bool:
        """Take one record of stream number `index`; whether it is none that was seen before."""
        waiting = self._waiting[index]
        if frame_id < self.next_frame_id or frame_id in waiting:
            self.repeats += 1
            return False
        waiting[frame_id] = (value, origin)
        return True

    def pop(self) -> Joined | None:
        """The next frame, once every stream has delivered it."""
        frame_id = self._candidate()
        if frame_id is None or any(frame_id not in each for each in self._waiting):
            return None
        values, origins = zip(*(each.pop(frame_id) for each in self._waiting), strict=True)
        self.next_frame_id = frame_id + 1
        return Joined(frame_id, values, origins)

    @property
    def waiting(self) -> int:
        """Records of the deciding stream that wait for their counterparts, or their turn."""
        return len(self._waiting[-1])

    @property
    def gap(self) -> bool:
        """Whether the deciding stream has frames, but not the next one."""
        return self._contiguous and self.waiting > 0 and self.next_frame_id not in self._waiting[-1]

    def clear(self) -> None:
        """Drop everything that waits."""
        for each in self._waiting:
            each.clear()

    def _candidate(self) -> int | None:
        return self.next_frame_id if self._contiguous else next(iter(self._waiting[-1]), None)
