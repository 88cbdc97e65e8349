"""The join: the records of one frame, brought together by `frame_id` and never by the clock."""

from dataclasses import dataclass, field

from contanos.bus.contract import TopicPartition


@dataclass(frozen=True, slots=True)
class Joined:
    """One value of each input for the same frame, and where reading goes on after it."""

    frame_id: int
    values: tuple[object, ...]
    offsets: dict[TopicPartition, int]


@dataclass(slots=True)
class _Input:
    waiting: dict[int, tuple[object, TopicPartition, int]] = field(default_factory=dict)


class FrameJoin:
    """Pairs records of `inputs` streams, in order of `frame_id` and without gaps.

    Records of one stream may come more than once: what was already handed on, or already waits, is
    dropped and counted in `repeats`.

    Args:
        inputs: how many streams there are.
        next_frame_id: the first frame to hand on. None for a reader that starts at its committed
            offsets: it goes on at the latest of the streams' first records, since an earlier one
            can only be a repeat.
    """

    def __init__(self, inputs: int, next_frame_id: int | None = 0) -> None:
        self.repeats = 0
        self._next = next_frame_id
        self._inputs = [_Input() for _ in range(inputs)]

    @property
    def started(self) -> bool:
        """Whether it is known which frame comes next."""
        return self._next is not None

    @property
    def next_frame_id(self) -> int:
        """The frame that `pop` hands on next."""
        return self._next or 0

    def add(
        self, index: int, frame_id: int, value: object, source: TopicPartition, offset: int
    ) -> None:
        """Take one record of stream number `index`."""
        waiting = self._inputs[index].waiting
        if frame_id < self.next_frame_id or frame_id in waiting:
            self.repeats += 1
        else:
            waiting[frame_id] = (value, source, offset + 1)

    def pop(self) -> Joined | None:
        """The next frame, once every stream has delivered it."""
        if self._next is None and not self._find_start():
            return None
        frame_id = self.next_frame_id
        if any(frame_id not in each.waiting for each in self._inputs):
            return None
        parts = [each.waiting.pop(frame_id) for each in self._inputs]
        self._next = frame_id + 1
        return Joined(
            frame_id,
            tuple(value for value, _, _ in parts),
            {source: offset for _, source, offset in parts},
        )

    def waiting(self, index: int) -> int:
        """Records of stream number `index` that wait for their counterparts."""
        return len(self._inputs[index].waiting)

    def clear(self) -> None:
        """Drop everything that waits."""
        for each in self._inputs:
            each.waiting.clear()

    def _find_start(self) -> bool:
        if not all(each.waiting for each in self._inputs):
            return False
        self._next = max(next(iter(each.waiting)) for each in self._inputs)
        for each in self._inputs:
            for frame_id in [i for i in each.waiting if i < self._next]:
                del each.waiting[frame_id]
                self.repeats += 1
        return True
