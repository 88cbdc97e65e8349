"""A lane: one task's records on their way through one stage of this process."""

from collections import deque
from dataclasses import dataclass, field

from contanos.bus.contract import Record, TopicPartition
from contanos.bus.topics import RAW_FRAMES, topic_prefix
from contanos.errors import MessageError
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.contract import Item, Task
from contanos.stage.graph import Node
from contanos.stage.join import FrameJoin, Joined
from contanos.video.frame import BadFrame, Frame

_INGEST = "ingest"


@dataclass(slots=True)
class Slot:
    """An item that was taken in; its result follows."""

    item: Item
    offsets: dict[TopicPartition, int]
    result: FrameResult | None = None


@dataclass(slots=True)
class Lane:
    """Joins a task's records, hands out items in order, and remembers what may be committed.

    Attributes:
        slots: items handed out and not yet answered for, in order of `frame_id`.
        end: the end of the stream that decides when the lane is done: that of the results read,
            or of the raw frames in a graph's first stage.
        failures: frames in a row that the stage could not process.
    """

    task: Task
    node: Node
    join: FrameJoin
    slots: deque[Slot] = field(default_factory=deque)
    end: EndOfStream | None = None
    failures: int = 0
    _end_offsets: dict[TopicPartition, int] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, node: Node, next_frame_id: int | None) -> "Lane":
        """An empty lane that goes on at `next_frame_id`; see `FrameJoin` for None."""
        return cls(task, node, FrameJoin(len(_inputs(node)), next_frame_id))

    def add(self, record: Record) -> None:
        """Take in one record."""
        index = self._input_of(record)
        if isinstance(record.value, EndOfStream):
            self._end_offsets[record.source] = record.offset + 1
            if index == self._deciding:
                self.end = record.value
        else:
            self.join.add(index, record.key, record.value, record.source, record.offset)

    def take(self) -> Slot | None:
        """The next item, if it is complete and lies before the end."""
        if (joined := self.join.pop()) is None:
            return None
        slot = Slot(_item(self.task, joined), joined.offsets)
        self.slots.append(slot)
        return slot

    @property
    def done(self) -> bool:
        """Whether every frame before the end was handed out and answered for."""
        return self.end is not None and not self.slots and not self.join.waiting(self._deciding)

    def cut(self, end: EndOfStream) -> None:
        """End here: what was not yet handed out never will be."""
        self.end = end
        self.join.clear()

    @property
    def end_offsets(self) -> dict[TopicPartition, int]:
        """What to commit when the lane is done."""
        return self._end_offsets

    @property
    def _deciding(self) -> int:
        """The input whose end of stream counts: the last, see `_inputs`."""
        return len(_inputs(self.node)) - 1

    def _input_of(self, record: Record) -> int:
        for index, prefix in enumerate(_inputs(self.node)):
            if record.topic.startswith(prefix):
                return index
        raise MessageError(f"{self.node.stage} does not read {record.topic}")


def prefixes(node: Node) -> tuple[str, ...]:
    """What the names of the topics that `node` reads start with."""
    return _inputs(node)


def _inputs(node: Node) -> tuple[str, ...]:
    """Raw frames first; results, which decide the end, last."""
    raw = (topic_prefix(RAW_FRAMES),) if node.frames or node.results is None else ()
    return raw + ((topic_prefix(node.results),) if node.results else ())


def _item(task: Task, joined: Joined) -> Item:
    first, last = joined.values[0], joined.values[-1]
    result = last if isinstance(last, FrameResult) else _first_result(task, last)
    return Item(task, result, first if isinstance(first, Frame) else None)


def _first_result(task: Task, value: object) -> FrameResult:
    """The record that a frame starts with, before any stage has seen it."""
    if not isinstance(value, Frame | BadFrame):
        raise MessageError(f"neither a frame nor a result: {type(value).__name__}")
    base = value.time_base
    return FrameResult(
        task_id=task.task_id,
        frame_id=value.frame_id,
        pts=value.pts,
        time_base=(base.numerator, base.denominator),
        width=task.width,
        height=task.height,
        stage=_INGEST,
        error=value.error if isinstance(value, BadFrame) else None,
    )
