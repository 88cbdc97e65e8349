"""What every runner does: consume, sort records into lanes, commit, and end in order.

A commit is always the last of these steps: process, produce, flush (acknowledged), commit the
offsets with the mark and the state. A crash between any two of them repeats work and loses none;
whoever reads the repeats drops them by `frame_id`.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import structlog
from msgspec.structs import replace

from contanos.bus.contract import Bus, Consumer, Position, Record, TopicPartition
from contanos.bus.topics import task_of, topic_name
from contanos.errors import BusError, NotAssigned, OutputError, TaskFailed, UnknownTopic
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.contract import Task
from contanos.stage.graph import Node
from contanos.stage.lane import Lane, LaneKey, Slot, leading, prefixes
from contanos.stage.mark import Mark, from_note, to_note
from contanos.stage.meter import Meter
from contanos.stage.tasks import Failure, Tasks

POLL_RECORDS = 64
FAILURES_IN_A_ROW = 8

log = structlog.get_logger(__name__)


class Runner(ABC):
    """Carries one stage on one thread, for every task on the bus.

    `run` returns after `stop`, or raises what broke it; what it had not committed by then is
    delivered again to the next member of the group.

    Args:
        wants: whether a task is one of this graph; others have the same topics.

    Attributes:
        victims: the tasks that it was working on when `run` ended.
    """

    idle = 0.5

    def __init__(
        self,
        bus: Bus,
        node: Node,
        tasks: Tasks,
        meter: Meter | None = None,
        wants: Callable[[Task], bool] = lambda _: True,
    ) -> None:
        self.node = node
        self.lanes: dict[LaneKey, Lane] = {}
        self.victims: list[str] = []
        self._bus = bus
        self._tasks = tasks
        self._meter = meter or Meter()
        self._ended: dict[LaneKey, Mark] = {}
        self._early: defaultdict[str, list[Record]] = defaultdict(list)
        self._producer = bus.producer()
        self._stopping = threading.Event()
        self._wants = wants
        self._consumer: Consumer = bus.consumer(node.group, prefixes(node), self, self._may_want)

    def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stopping.is_set():
                self.step(self.patience())
        finally:
            self.victims = sorted({key.task_id for key in self.lanes})
            self._consumer.close()
            for key in list(self.lanes):
                self.drop(key)

    def stop(self) -> None:
        """Ask `run` to return. Safe from any thread."""
        self._stopping.set()
        self._consumer.wakeup()

    def step(self, timeout: float) -> None:
        """Take what has come, and work on it."""
        records = self._consumer.poll(POLL_RECORDS, timeout)
        for record in [*self._now_known(), *records]:
            self._accept(record)
        self.work()
        for lane in list(self.lanes.values()):
            self._look_after(lane)

    def patience(self) -> float:
        """Seconds that the next `poll` may wait."""
        return self.idle

    @abstractmethod
    def work(self) -> None:
        """Process what the lanes hold."""

    def open_lane(self, lane: Lane) -> None:
        """A lane begins, or goes on where its mark says."""

    def end_lane(self, lane: Lane, end: EndOfStream) -> None:
        """A lane is done, and its end not yet passed on."""

    def forget_lane(self, lane: Lane) -> None:
        """A lane's end is committed; nothing of it will come again."""

    def drop(self, key: LaneKey) -> None:
        """Forget a lane, finished or not."""
        if lane := self.lanes.pop(key, None):
            lane.open = False
            self._meter.repeats(self.node.stage, lane.repeats)

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Lanes open with their first record."""

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Another member goes on from what we committed."""
        gone = set(partitions)
        for key in [each for each in self.lanes if leading(self.node, each) in gone]:
            self.drop(key)
        for key in [each for each in self._ended if leading(self.node, each) in gone]:
            del self._ended[key]
        for task_id, records in list(self._early.items()):
            self._early[task_id] = [each for each in records if each.source not in gone]
            if not self._early[task_id]:
                del self._early[task_id]

    def send(self, slot: Slot, result: FrameResult) -> None:
        """Produce one result, and count it."""
        stage = self.node.stage
        if self.node.output:
            partition = result.partition if self.node.splits else 0
            named = replace(result, stage=stage)
            try:
                topic = topic_name(stage, result.task_id)
                self._producer.send(topic, result.frame_id, named, partition)
            except UnknownTopic:
                log.warning("topic gone before its task ended", task_id=result.task_id, stage=stage)
                self.drop(slot.lane.key)
                return
        latency = time.time() - slot.origins[0].timestamp
        self._meter.frame(stage, result.error is not None, slot.seconds, latency)

    def commit(self, lane: Lane, state: bytes | None = None) -> None:
        """The last step for what `lane` has settled: acknowledged first, then committed."""
        try:
            self._producer.flush()
        except UnknownTopic as e:  # its task is gone; all other tasks' records are acknowledged
            log.warning("topic gone before its task ended", stage=self.node.stage, why=str(e))
        lane.committed_at = time.monotonic()
        positions = {source: Position(offset) for source, offset in lane.offsets.items()}
        if lane.leading in positions:
            at = positions[lane.leading].offset
            positions[lane.leading] = Position(at, to_note(lane.mark), state)
        try:
            self._consumer.commit(positions)
        except NotAssigned as e:
            log.warning("lost a partition before its commit", stage=self.node.stage, why=str(e))
            self.drop(lane.key)

    def failed(self, lane: Lane, result: FrameResult, error: Exception) -> FrameResult:
        """The record of a frame that the stage could not process.

        A frame fails alone, but many in a row, or an output that cannot be written, fail the task.
        """
        lane.failures += 1
        cause = str(Failure.of(self.node.stage, error))
        log.warning("frame failed", task_id=result.task_id, frame_id=result.frame_id, cause=cause)
        if lane.failures >= FAILURES_IN_A_ROW or isinstance(error, OutputError | TaskFailed):
            self.fail(lane.key, error)
        return replace(result, error=cause, detections=())

    def fail(self, key: LaneKey, error: Exception) -> None:
        """End a task that cannot go on, unless it goes on elsewhere.

        One that was taken for dead finds its files gone, and that is nobody's fault; so does one
        whose task has failed elsewhere.
        """
        task_id, stage = key.task_id, self.node.stage
        if self._tasks.failure(task_id) or not self._owns(key):
            log.warning("failed after it was lost", task_id=task_id, stage=stage, cause=str(error))
            self.drop(key)
            return
        log.error("task failed", task_id=task_id, stage=stage, cause=str(error))
        self._tasks.fail(task_id, stage, error)

    def wanted(self, lane: Lane) -> bool:
        """Whether a lane is still to be worked on."""
        task_id = lane.task.task_id
        known = self._tasks.get(task_id) is not None and self._tasks.failure(task_id) is None
        return lane.open and known

    def _owns(self, key: LaneKey) -> bool:
        """Whether a lane is still ours: only then may it be committed where it is."""
        source = leading(self.node, key)
        try:
            self._consumer.commit({source: self._bus.committed(self.node.group, source)})
        except NotAssigned:
            return False
        return self._tasks.get(key.task_id) is not None

    def _now_known(self) -> Sequence[Record]:
        """Records that came before their task was known here."""
        known = [task_id for task_id in self._early if self._tasks.get(task_id)]
        return [record for task_id in known for record in self._early.pop(task_id)]

    def _accept(self, record: Record) -> None:
        task = self._tasks.get(task_of(record.topic))
        if task is None:
            self._early[task_of(record.topic)].append(record)
        elif self._wants(task) and self._tasks.failure(task.task_id) is None:
            self._deliver(task, record)

    def _may_want(self, task_id: str) -> bool:
        task = self._tasks.get(task_id)
        return task is None or self._wants(task)

    def _deliver(self, task: Task, record: Record) -> None:
        count = task.partitions if self.node.split else 1
        key = LaneKey(task.task_id, record.partition % count)
        try:
            if key not in self.lanes and key not in self._ended:
                self._open(task, key)
            if lane := self.lanes.get(key):
                lane.add(record)
            else:
                self._pass(key, record)
        except NotAssigned as e:
            log.warning("lost a partition", stage=self.node.stage, why=str(e))
            self.drop(key)
        except Exception as e:  # one task that cannot go on is no other task's concern
            if isinstance(e, BusError):
                self._bus.ready()  # raises while brokers are away: that is no task's fault
            self.fail(key, e)
            self.drop(key)

    def _open(self, task: Task, key: LaneKey) -> None:
        source = leading(self.node, key)
        mark = from_note(self._bus.committed(self.node.group, source).note)
        if mark.end:
            self._ended[key] = mark
            return
        lane = Lane(task, self.node, key.partition, mark)
        self.lanes[key] = lane
        self.open_lane(lane)

    def _pass(self, key: LaneKey, record: Record) -> None:
        """A record of a lane that has ended: a repeat, or the end of its pixels."""
        note = to_note(self._ended[key]) if record.source == leading(self.node, key) else ""
        self._consumer.commit({record.source: Position(record.offset + 1, note)})

    def _look_after(self, lane: Lane) -> None:
        if not self.wanted(lane):
            self.drop(lane.key)
            return
        try:
            end = lane.end()
        except TaskFailed as e:
            self.fail(lane.key, e)
            self.drop(lane.key)
            return
        if end:
            self._end(lane, end)

    def _end(self, lane: Lane, end: EndOfStream) -> None:
        self.end_lane(lane, end)
        if not lane.open or self._tasks.failure(end.task_id):
            return
        if self.node.output:
            self._send_end(lane, end)
        lane.finish(end)
        self.commit(lane)
        if lane.open:
            self._ended[lane.key] = lane.mark
            self._forget(lane)
            self.drop(lane.key)

    def _forget(self, lane: Lane) -> None:
        try:
            self.forget_lane(lane)
        except Exception as e:  # the task is complete; what is left behind is only untidy
            log.warning("not tidied up", task_id=lane.task.task_id, cause=str(e))

    def _send_end(self, lane: Lane, end: EndOfStream) -> None:
        """To every partition of ours that this lane feeds."""
        topic = topic_name(self.node.stage, end.task_id)
        all_of_them = range(lane.task.partitions) if self.node.splits else [0]
        fed = [lane.partition] if self.node.splits and self.node.split else all_of_them
        key = lane.task.first_frame + end.frames
        try:
            for partition in fed:
                number = lane.partition if self.node.split else partition
                self._producer.send(topic, key, replace(end, partition=number), partition)
        except UnknownTopic:
            log.warning("topic gone before the end of stream", task_id=end.task_id)
