"""A lane: the records of one partition of a task on their way through one stage of this process."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from contanos.bus.contract import Record, TopicPartition
from contanos.bus.topics import RAW_FRAMES, topic_name, topic_prefix
from contanos.errors import MessageError, TaskFailed
from contanos.messages import EndOfStream, FrameResult, Reason
from contanos.stage.contract import Item, Task
from contanos.stage.graph import Node
from contanos.stage.join import FrameJoin, Joined, Origin
from contanos.stage.ledger import Ledger
from contanos.stage.mark import Mark
from contanos.video.frame import BadFrame, Frame
from contanos.video.group import FrameGroup

_INGEST = "ingest"
WORST_LAST: tuple[Reason, ...] = ("completed", "cancelled", "failed")


class LaneKey(NamedTuple):
    """Which lane of a stage."""

    task_id: str
    partition: int


@dataclass(slots=True, eq=False)
class Slot:
    """An item that was taken in; its result follows."""

    lane: "Lane"
    item: Item
    origins: tuple[Origin, ...]
    result: FrameResult | None = None
    seconds: float = 0.0


class Lane:
    """Joins records, hands out items in order, and knows what may be committed.

    Attributes:
        task: whose records they are.
        partition: of the leading topic.
        mark: what the stage has put out, to be noted with the next commit.
        slots: items handed out and not yet answered for, in order.
        failures: frames in a row that the stage could not process.
        committed_at: when the last commit was, by `time.monotonic`.
        open: False once the lane was dropped.
    """

    def __init__(self, task: Task, node: Node, partition: int, mark: Mark) -> None:
        self.task = task
        self.partition = partition
        self.mark = mark
        self.slots: deque[Slot] = deque()
        self.failures = 0
        self.committed_at = 0.0
        self.open = True
        self._node = node
        self._inputs = prefixes(node)
        self._whole = not node.split or task.partitions == 1
        start = max(mark.next_frame_id, task.first_frame)
        self._join = FrameJoin(len(self._inputs), start, self._whole)
        self._ledger = Ledger()
        self._ends: dict[int, EndOfStream] = {}
        self._end_origins: list[Origin] = []
        self._cut: EndOfStream | None = None

    @property
    def key(self) -> LaneKey:
        """The lane's place among the stage's lanes."""
        return LaneKey(self.task.task_id, self.partition)

    @property
    def leading(self) -> TopicPartition:
        """The partition that decides what this lane reads, and carries its mark."""
        return leading(self._node, self.key)

    @property
    def next_frame_id(self) -> int:
        """The first frame that was not handed out."""
        return self._join.next_frame_id

    @property
    def frames(self) -> int:
        """How many frames of the task lie before that one."""
        return self.next_frame_id - self.task.first_frame

    @property
    def repeats(self) -> int:
        """Frames that came again and were dropped."""
        return self._join.repeats

    def add(self, record: Record) -> None:
        """Take in one record.

        Raises:
            MessageError: its value is nothing that this lane reads.
        """
        if isinstance(record.value, MessageError):
            raise record.value
        index = self._input_of(record)
        if isinstance(record.value, EndOfStream):
            self._add_end(record, record.value, leads=index == len(self._inputs) - 1)
            return
        origin = Origin(record.source, record.offset, record.timestamp)
        values = [each for each in _each(record) if each[0] >= self.task.first_frame]
        new = [self._join.add(index, i, value, origin) for i, value in values]
        self._ledger.take(record, sum(new))

    def take(self) -> Slot | None:
        """The next item, if it is complete."""
        if (joined := self._join.pop()) is None:
            return None
        slot = Slot(self, self._item(joined), joined.origins)
        self.slots.append(slot)
        return slot

    def settle(self) -> FrameResult:
        """The first slot's answer is out: count it."""
        slot = self.slots.popleft()
        assert slot.result
        for origin in slot.origins:
            self._ledger.done(origin.source, origin.offset)
        self.mark = replace(
            self.mark,
            next_frame_id=slot.result.frame_id + 1,
            done=self.mark.done + 1,
            failed=self.mark.failed + (slot.result.error is not None),
            seconds=round(self.mark.seconds + slot.seconds, 6),
        )
        return slot.result

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """What may be committed."""
        return self._ledger.offsets

    @property
    def closing(self) -> bool:
        """Whether nothing more will come than is here."""
        writers = self.task.partitions if self._node.merges else 1
        return self._cut is not None or len(self._ends) >= writers

    def cut(self) -> None:
        """End here: what was not yet handed out never will be."""
        self._cut = EndOfStream(
            task_id=self.task.task_id,
            frames=self.frames,
            reason="cancelled",
            partition=self.partition,
        )
        self._join.clear()

    def end(self) -> EndOfStream | None:
        """The end of the stream, once every frame before it was handed out and answered for.

        Raises:
            TaskFailed: all writers have ended, and a frame is missing.
        """
        if self.slots or not self.closing:
            return None
        if self._cut:
            return self._cut
        last = max(self._ends.values(), key=lambda each: WORST_LAST.index(each.reason))
        if last.reason != "completed" and self._join.gap:
            self._join.clear()  # other members had come further when they were told to stop
        if self._join.gap:
            raise TaskFailed(f"frame {self.next_frame_id} was lost; run the task again")
        if self._join.waiting:
            return None
        return self._final(last)

    def finish(self, end: EndOfStream) -> None:
        """The end is passed on: it may be committed too."""
        for origin in self._end_origins:
            self._ledger.done(origin.source, origin.offset)
        self.mark = replace(self.mark, end=end.reason, frames=end.frames)

    def _add_end(self, record: Record, end: EndOfStream, leads: bool) -> None:
        """An end that counts stays uncommitted, to come again, until it is passed on."""
        new = leads and end.partition not in self._ends
        self._ledger.take(record, int(new))
        if new:
            self._ends[end.partition] = end
            self._end_origins.append(Origin(record.source, record.offset, record.timestamp))

    def _final(self, last: EndOfStream) -> EndOfStream:
        """The end as this stage passes it on."""
        if not self._whole:
            return replace(last, partition=self.partition)
        if last.reason == "completed" and last.frames != self.frames:
            raise TaskFailed(
                f"{last.frames} frames went in and {self.frames} came; run the task again"
            )
        return replace(last, frames=self.frames, partition=self.partition)

    def _input_of(self, record: Record) -> int:
        for index, prefix in enumerate(self._inputs):
            if record.topic.startswith(prefix):
                return index
        raise MessageError(f"{self._node.stage} does not read {record.topic}")

    def _item(self, joined: Joined) -> Item:
        first, last = joined.values[0], joined.values[-1]
        frame = first.frame(joined.frame_id) if isinstance(first, FrameGroup) else first
        if not isinstance(last, FrameResult):
            last = _first_result(self.task, frame, joined.origins[0].source.partition)
        return Item(self.task, last, frame if isinstance(frame, Frame) else None)


def prefixes(node: Node) -> tuple[str, ...]:
    """What the names of the topics that `node` reads start with; the leading one is last."""
    raw = (topic_prefix(RAW_FRAMES),) if node.frames or node.results is None else ()
    return raw + ((topic_prefix(node.results),) if node.results else ())


def leading(node: Node, key: LaneKey) -> TopicPartition:
    """The partition that leads a lane."""
    return TopicPartition(topic_name(node.results or RAW_FRAMES, key.task_id), key.partition)


def _each(record: Record) -> Iterator[tuple[int, object]]:
    """The frames of a record, each with what holds it; a group may begin before the task does."""
    value = record.value
    if isinstance(value, FrameGroup):
        return ((value.frame_id + i, value) for i in range(len(value)))
    return iter([(record.key, value)])


def _first_result(task: Task, value: object, partition: int) -> FrameResult:
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
        partition=partition,
    )
