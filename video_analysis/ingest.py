"""Ingest: a video's frames onto the bus, no faster than the stages take them."""

import time
from collections.abc import Collection, Iterator
from itertools import islice

from contanos.bus import Bus, TopicPartition
from contanos.bus.topics import RAW_FRAMES, topic_name
from contanos.messages import EndOfStream, Reason
from contanos.stage.contract import Task
from contanos.stage.tasks import Tasks
from contanos.video.frame import BadFrame, Frame
from contanos.video.source import VideoSource

STAGE = "ingest"
_LOOK_UP = 0.25  # seconds between looks at whether the task is still wanted


class FileIngest:
    """Publishes a file's frames and the end of the stream.

    Args:
        bus: the task's topics exist on it.
        tasks: where progress is counted, and a cancel or failure seen.
        task: whose frames they are.
        source: the open file.
        groups: the consumer groups that read raw frames; the slowest sets the pace.
        in_flight: frames between ingest and the slowest group, at most.
        max_frames: stop after so many, None for all.
    """

    def __init__(
        self,
        bus: Bus,
        tasks: Tasks,
        task: Task,
        source: VideoSource,
        groups: Collection[str],
        in_flight: int,
        max_frames: int | None,
    ) -> None:
        self.published = 0
        self._bus = bus
        self._tasks = tasks
        self._task = task
        self._source = source
        self._groups = groups
        self._in_flight = in_flight
        self._max_frames = max_frames
        self._topic = TopicPartition(topic_name(RAW_FRAMES, task.task_id), 0)
        self._producer = bus.producer()

    def run(self) -> None:
        """Publish until the file ends or nobody wants more."""
        reason: Reason = "completed"
        for each in self._timed(islice(self._source, self._max_frames)):
            if not self._room():
                reason = "cancelled"
                break
            self._producer.send(self._topic.topic, each.frame_id, each)
            self.published += 1
            failed = isinstance(each, BadFrame)
            self._tasks.count(self._task.task_id, STAGE, each.frame_id, failed)
        end = EndOfStream(task_id=self._task.task_id, frames=self.published, reason=reason)
        self._producer.send(self._topic.topic, end.frames, end)
        self._producer.flush()

    def _timed(self, frames: Iterator[Frame | BadFrame]) -> Iterator[Frame | BadFrame]:
        while True:
            started = time.perf_counter()
            each = next(frames, None)
            self._tasks.spend(self._task.task_id, STAGE, time.perf_counter() - started)
            if each is None:
                return
            yield each

    def _room(self) -> bool:
        """Wait until one more frame may fly; False once the task is no longer wanted."""
        reached = self.published + 1 - self._in_flight
        while self._wanted():
            if self._bus.wait_committed(self._groups, self._topic, reached, _LOOK_UP):
                return True
        return False

    def _wanted(self) -> bool:
        task_id = self._task.task_id
        return not self._tasks.cancelled(task_id) and self._tasks.failure(task_id) is None
