"""Ingest: a video's frames onto the bus, no faster than the stages take them."""

import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator
from itertools import islice, takewhile
from typing import NamedTuple

import structlog

from contanos.bus import Bus, TopicPartition
from contanos.bus.topics import RAW_FRAMES, topic_name
from contanos.errors import InputError
from contanos.messages import EndOfStream
from contanos.stage.contract import Task
from contanos.stage.tasks import Tasks
from contanos.video.codec import FrameCodec
from contanos.video.frame import BadFrame, Frame
from contanos.video.group import FrameGroup
from contanos.video.source import VideoSource
from video_analysis.control.books import Book, IngestReport

STAGE = "ingest"
_LOOK_UP = 0.25  # seconds between looks at whether the task is still wanted
_GROUPS_IN_FLIGHT = 3  # at least: one being read by each stage that reads pixels

Value = Frame | BadFrame | FrameGroup

log = structlog.get_logger(__name__)


class _Flying(NamedTuple):
    """A record that not every reader has committed."""

    source: TopicPartition
    end: int
    frames: int


class FileIngest:
    """Publishes a file's frames, from the task's first one on, and the end of the stream.

    Started again on topics that hold some of the frames already, it goes on after them.

    Args:
        bus: the task's topics exist on it.
        tasks: where a cancel or failure is seen.
        task: whose frames they are.
        source: opened by `codec`.
        codec: how frames travel.
        groups: the consumer groups that read raw frames; the slowest sets the pace.
        in_flight: frames between ingest and the slowest group, at most; or three groups of
            pictures, where these are larger.
        max_frames: stop after so many, None for all.
        reports: where it is noted what was done.
        leave: set it to stop without an end, for another one to go on.

    Attributes:
        published: frames put on the bus, by this one or by those before it.
    """

    def __init__(
        self,
        bus: Bus,
        tasks: Tasks,
        task: Task,
        source: VideoSource,
        codec: FrameCodec,
        groups: Collection[str],
        in_flight: int,
        max_frames: int | None,
        reports: Book[IngestReport],
        leave: threading.Event | None = None,
    ) -> None:
        self.published = 0
        self._leave = leave or threading.Event()
        self._bus = bus
        self._tasks = tasks
        self._task = task
        self._source = source
        self._codec = codec
        self._groups = groups
        self._in_flight = in_flight
        self._first = task.first_frame
        self._stop = None if max_frames is None else self._first + max_frames
        self._reports = reports
        self._seconds = 0.0
        self._failed = 0
        self._flying: deque[_Flying] = deque()
        self._cut = False
        topic = topic_name(RAW_FRAMES, task.task_id)
        self._partitions = [TopicPartition(topic, i) for i in range(task.partitions)]
        self._ends = {each: bus.end_offset(each) for each in self._partitions}
        self._held = [self._held_in(each) for each in self._partitions]
        self._producer = bus.producer()

    def run(self) -> None:
        """Publish until the file ends or nobody wants more.

        Raises:
            InputError: the file ends before the task's first frame.
        """
        for number, value in enumerate(self._timed(self._values())):
            at = self._partitions[number % len(self._partitions)]
            first, end = _span(value)
            if first >= self._held[at.partition]:
                if not self._room(end - first):
                    break
                self._send(at, first, value, end - first)
            self.published = end - self._first
            self._failed += _failed(value, self._first)
        if not self._leave.is_set():
            self._finish()

    def _values(self) -> Iterator[Value]:
        if not self._bus.by_reference:
            self._sent_as = self._codec.groups(
                self._source, self._first, self._stop, self._task.task_id, self._goes_on
            )
            yield from self._sent_as
            return
        for frame in takewhile(lambda _: self._goes_on(), islice(self._source, self._stop)):
            if frame.frame_id >= self._first:
                yield self._codec.through(frame)

    def _held_in(self, source: TopicPartition) -> int:
        """The frame after the last one that lies in `source` already."""
        last = self._bus.last_record(source)
        if last is None:
            return 0
        return last.key if isinstance(last.value, EndOfStream) else _span(last.value)[1]

    def _send(self, at: TopicPartition, first: int, value: Value, frames: int) -> None:
        self._producer.send(at.topic, first, value, at.partition)
        self._ends[at] += 1
        self._flying.append(_Flying(at, self._ends[at], frames))

    def _finish(self) -> None:
        """What was done is noted first, so that whoever sees the end finds the note."""
        if self._cut:  # an earlier ingest may have come further
            self.published = max(self.published, max(self._held) - self._first)
        elif self._first and not self.published:
            count = self._source.read
            raise InputError(f"{self._source.path} has {count} frames: none from {self._first} on")
        self._producer.flush()
        task_id, report = self._task.task_id, self._report()
        if report.fallbacks:
            log.warning("frames travel as JPEGs", task_id=task_id, reasons=report.fallbacks)
        self._reports.put(task_id, report)
        frames, reason = self.published, report.reason
        for at in self._partitions:
            end = EndOfStream(task_id=task_id, frames=frames, reason=reason, partition=at.partition)
            self._producer.send(at.topic, self._first + frames, end, at.partition)
        self._producer.flush()

    def _report(self) -> IngestReport:
        return IngestReport(
            read=max(self.published, self._source.read - self._first),
            published=self.published,
            failed=self._failed,
            seconds=round(self._seconds, 3),
            truncated=self._source.truncated,
            reason="cancelled" if self._cut else "completed",
            fallbacks=dict(self._fallbacks()),
        )

    def _fallbacks(self) -> Counter[str]:
        return Counter() if self._bus.by_reference else self._sent_as.fallbacks

    def _timed(self, values: Iterator[Value]) -> Iterator[Value]:
        while True:
            started = time.perf_counter()
            value = next(values, None)
            self._seconds += time.perf_counter() - started
            if value is None:
                return
            yield value

    def _room(self, frames: int) -> bool:
        """Wait until so many more frames may fly; False once the task is no longer wanted."""
        most = max(self._in_flight, _GROUPS_IN_FLIGHT * frames)
        while self._goes_on():
            if sum(each.frames for each in self._flying) + frames <= most:
                return True
            source, end, _ = self._flying[0]
            if self._bus.wait_committed(self._groups, source, end, _LOOK_UP):
                self._flying.popleft()
        return False

    def _goes_on(self) -> bool:
        """Whether to read on; asked at each frame, those before the first one too."""
        self._cut = self._cut or not self._wanted()
        return not self._cut

    def _wanted(self) -> bool:
        task_id = self._task.task_id
        ended = self._tasks.cancelled(task_id) or self._tasks.failure(task_id)
        return not ended and not self._leave.is_set()


def _span(value: object) -> tuple[int, int]:
    """The first frame of a record's value, and the one after its last."""
    assert isinstance(value, Frame | BadFrame | FrameGroup)
    first = value.frame_id
    return first, value.end if isinstance(value, FrameGroup) else first + 1


def _failed(value: Value, first: int) -> int:
    """How many frames of a value, from the frame `first` on, have no picture."""
    if isinstance(value, FrameGroup):
        skipped = max(0, first - value.frame_id)
        return sum(place.error is not None for place in value.places[skipped:])
    return isinstance(value, BadFrame)
