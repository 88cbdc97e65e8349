"""Reads a task's frames off the bus as they are tracked."""

import threading
from collections.abc import Callable
from contextlib import closing

import structlog

from contanos.bus import Reader, Record, TopicPartition
from contanos.bus.topics import topic_name
from contanos.errors import ContanosError, UnknownTopic
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.contract import Task
from video_analysis.backend.live.order import InOrder
from video_analysis.backend.live.ring import Ring
from video_analysis.backend.live.stored import as_stored, as_text, durable_end
from video_analysis.control.desk import Desk
from video_analysis.job import job_of
from video_analysis.pipeline import graph_of

_RECORDS = 64  # taken at once
_SLICE = 0.25  # seconds in which it notices that it is to stop
_AGAIN = 0.5  # seconds before a topic that is not there, or a bus that is not, is tried again

log = structlog.get_logger(__name__)


class _Over(Exception):
    """The task ended before we could begin: all its frames are stored."""


class Tail:
    """One thread that reads the topic which the outputs read.

    Args:
        desk: knows the bus.
        task: whose frames they are.
        room: frames that a ring holds.
        told: called by the thread when something has changed.

    Attributes:
        ring: the newest frames; None before the first has come. Another one takes its place where
            the bus let go of frames before they were read: these are stored by then.
        end: how the stream ended, once it did.
    """

    def __init__(self, desk: Desk, task: Task, room: int, told: Callable[[], None]) -> None:
        self.ring: Ring | None = None
        self.end: EndOfStream | None = None
        self._desk = desk
        self._task = task
        self._job = job_of(task)
        self._room = room
        self._told = told
        graph = graph_of(task)
        self._source = TopicPartition(topic_name(graph.last, task.task_id), 0)
        mixed = any(each.merges for each in graph.nodes if each.stage in graph.sinks)
        self._writers = task.partitions if mixed else 1
        self._order: InOrder | None = None
        self._next_offset = -1
        self._stopping = threading.Event()
        name = f"live-{task.task_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def join(self) -> None:
        """Return once it has."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set() and not self.end:
            try:
                with closing(self._open()) as reader:
                    self._read(reader)
            except _Over:
                return
            except UnknownTopic:  # not made yet, or swept, and then its hub will stop us
                self._stopping.wait(_AGAIN)
            except (ContanosError, OSError) as e:
                log.warning("cannot follow a task", task_id=self._task.task_id, cause=str(e))
                self._stopping.wait(_AGAIN)

    def _open(self) -> Reader:
        """From the start: what is not there any more is stored, and what we had is dropped."""
        self._next_offset = -1
        return self._desk.bus.reader(self._source, 0)

    def _read(self, reader: Reader) -> None:
        while not self._stopping.is_set() and not self.end:
            if records := reader.poll(_RECORDS, _SLICE):
                self._take(records)
                self._told()

    def _take(self, records: list[Record]) -> None:
        found: list[FrameResult] = []
        for record in records:
            if record.offset != self._next_offset:
                self._add(found)
                found = self._catch_up()
            self._next_offset = record.offset + 1
            assert self._order
            found += self._order.add(record.value)
        self._add(found)
        assert self._order
        self.end = self._order.end

    def _catch_up(self) -> list[FrameResult]:
        """Records may have been let go before they were read; what was in them is stored.

        Returns:
            Frames that had come, and waited for those.
        """
        stored = durable_end(self._job)
        if stored is None and self._desk.outcome(self._task.task_id):
            raise _Over
        stored = self._task.first_frame if stored is None else stored
        if self._order is None:
            self._order = InOrder(self._task.first_frame, stored, self._writers)
        elif stored <= self._order.next_frame:
            return []
        self.ring = Ring(stored, self._room)
        return self._order.skip_to(stored)

    def _add(self, frames: list[FrameResult]) -> None:
        if frames and self.ring:
            self.ring.add(map(as_text, as_stored(frames)))
