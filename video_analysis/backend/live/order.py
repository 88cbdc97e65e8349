"""The frames of a topic in their order, each once."""

from msgspec.structs import replace

from contanos.messages import EndOfStream, FrameResult
from contanos.stage.lane import WORST_LAST


class InOrder:
    """Takes records as they come, several writers' mixed and some twice, and hands on frames.

    Args:
        first_frame: the first frame's number in the task.
        next_frame: the first one that is handed on.
        writers: how many say that the stream ends.

    Attributes:
        next_frame: the frame that is handed on next.
    """

    def __init__(self, first_frame: int, next_frame: int, writers: int) -> None:
        self.next_frame = next_frame
        self._first_frame = first_frame
        self._writers = writers
        self._held: dict[int, FrameResult] = {}
        self._ends: dict[int, EndOfStream] = {}

    @property
    def end(self) -> EndOfStream | None:
        """The end, once every writer has said so and every frame before it was handed on."""
        if len(self._ends) < self._writers:
            return None
        worst = max(self._ends.values(), key=lambda each: WORST_LAST.index(each.reason))
        if worst.reason == "completed" and self._held:
            return None
        return replace(worst, frames=self.next_frame - self._first_frame, partition=0)

    def add(self, value: object) -> list[FrameResult]:
        """What can be handed on once a record's value has come."""
        if isinstance(value, EndOfStream):
            self._ends.setdefault(value.partition, value)
        elif isinstance(value, FrameResult) and value.frame_id >= self.next_frame:
            self._held.setdefault(value.frame_id, value)
        return self._ready()

    def skip_to(self, frame_id: int) -> list[FrameResult]:
        """What can be handed on once the frames before `frame_id` are not waited for."""
        self.next_frame = frame_id
        self._held = {number: each for number, each in self._held.items() if number >= frame_id}
        return self._ready()

    def _ready(self) -> list[FrameResult]:
        found = []
        while frame := self._held.pop(self.next_frame, None):
            found.append(frame)
            self.next_frame += 1
        return found
