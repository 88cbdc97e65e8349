"""What every runner does: consume, sort records into lanes, commit, and end in order.

A commit is always the last of these steps: process, produce, flush (acknowledged), save state,
commit. A crash between any two of them repeats work and loses none; whoever reads the repeats
drops them by `frame_id`.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import structlog
from msgspec.structs import replace

from contanos.bus.contract import Bus, Consumer, Record, TopicPartition
from contanos.bus.topics import task_of, topic_name
from contanos.errors import NotAssigned, OutputError, TaskFailed, UnknownTopic
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.graph import Node
from contanos.stage.lane import Lane, prefixes
from contanos.stage.tasks import Failure, Tasks

POLL_RECORDS = 64
FAILURES_IN_A_ROW = 8

log = structlog.get_logger(__name__)


class Runner(ABC):
    """Carries one stage on one thread, for every task on the bus.

    `run` returns after `stop`, or raises what broke it; what it had not committed by then is
    delivered again to the next member of the group.

    Attributes:
        victims: the tasks that it was working on when `run` ended.
    """

    idle = 0.5

    def __init__(self, bus: Bus, node: Node, tasks: Tasks) -> None:
        self.node = node
        self.lanes: dict[str, Lane] = {}
        self.victims: list[str] = []
        self._bus = bus
        self._tasks = tasks
        self._producer = bus.producer()
        self._stopping = threading.Event()
        self._consumer: Consumer = bus.consumer(node.stage, prefixes(node), self)

    def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stopping.is_set():
                self.step(self.patience())
        finally:
            self.victims = list(self.lanes)
            self._consumer.close()
            for task_id in self.victims:
                self.drop(task_id)

    def stop(self) -> None:
        """Ask `run` to return. Safe from any thread."""
        self._stopping.set()
        self._consumer.wakeup()

    def step(self, timeout: float) -> None:
        """Take what has come, and work on it."""
        for record in self._consumer.poll(POLL_RECORDS, timeout):
            self._accept(record)
        self.work()
        for lane in [each for each in self.lanes.values() if each.done]:
            self._end(lane)
        for task_id in [each for each in self.lanes if self._tasks.over(each, self.node.stage)]:
            self.drop(task_id)

    def patience(self) -> float:
        """Seconds that the next `poll` may wait."""
        return self.idle

    @abstractmethod
    def work(self) -> None:
        """Process what the lanes hold."""

    def open_lane(self, task_id: str) -> Lane | None:
        """A lane for a task whose first record has come; None where nobody knows the task."""
        task = self._tasks.get(task_id)
        return Lane.of(task, self.node, next_frame_id=None) if task else None

    def end_lane(self, lane: Lane, end: EndOfStream) -> None:
        """A lane is done, and its end not yet passed on."""

    def forget_lane(self, lane: Lane) -> None:
        """A lane's end is committed; nothing of it will come again."""

    def drop(self, task_id: str) -> None:
        """Forget a lane, finished or not."""
        self.lanes.pop(task_id, None)

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Lanes open with their first record."""

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Another member goes on from what we committed."""
        for source in partitions:
            self.drop(task_of(source.topic))

    def send(self, result: FrameResult) -> None:
        """Produce one result, and count it."""
        stage = self.node.stage
        if self.node.output:
            named = replace(result, stage=stage)
            self._producer.send(topic_name(stage, result.task_id), result.frame_id, named)
        failed = result.error is not None
        self._tasks.count(result.task_id, stage, result.frame_id, failed)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The last step for what `offsets` cover: acknowledged first, then committed."""
        self._producer.flush()
        try:
            self._consumer.commit(offsets)
        except NotAssigned as e:
            log.warning("lost a partition before its commit", stage=self.node.stage, why=str(e))
            for source in offsets:
                self.drop(task_of(source.topic))

    def failed(self, lane: Lane, result: FrameResult, error: Exception) -> FrameResult:
        """The record of a frame that the stage could not process.

        A frame fails alone, but many in a row, or an output that cannot be written, fail the task.
        """
        lane.failures += 1
        cause = str(Failure(self.node.stage, error))
        log.warning("frame failed", task_id=result.task_id, frame_id=result.frame_id, cause=cause)
        if lane.failures >= FAILURES_IN_A_ROW or isinstance(error, OutputError | TaskFailed):
            self.fail(result.task_id, error)
        return replace(result, error=cause, detections=())

    def fail(self, task_id: str, error: Exception) -> None:
        """End a task that cannot go on."""
        log.error("task failed", task_id=task_id, stage=self.node.stage, cause=str(error))
        self._tasks.fail(task_id, self.node.stage, error)

    def _accept(self, record: Record) -> None:
        task_id = task_of(record.topic)
        if task_id not in self.lanes and not self._tasks.over(task_id, self.node.stage):
            self._open(task_id)
        if lane := self.lanes.get(task_id):
            lane.add(record)
        else:
            self.commit({record.source: record.offset + 1})

    def _open(self, task_id: str) -> None:
        try:
            lane = self.open_lane(task_id)
        except Exception as e:  # one task that cannot begin is no other task's concern
            self.fail(task_id, e)
            self.drop(task_id)
            return
        if lane:
            self.lanes[task_id] = lane

    def _end(self, lane: Lane) -> None:
        assert lane.end
        end, task_id = lane.end, lane.task.task_id
        self.end_lane(lane, end)
        if self._tasks.failure(task_id):
            return
        if self.node.output:
            try:
                self._producer.send(topic_name(self.node.stage, task_id), end.frames, end)
            except UnknownTopic:
                log.warning("topic gone before the end of stream", task_id=task_id)
        self._producer.flush()
        self._tasks.end(self.node.stage, end)
        self.commit(lane.end_offsets)
        self.forget_lane(lane)
        self.drop(task_id)
