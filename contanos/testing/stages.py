"""Small stages and a small graph, to test what carries stages."""

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction

import numpy as np
from msgspec.structs import replace

from contanos.bus import Bus
from contanos.bus.topics import RAW_FRAMES, topic_name
from contanos.errors import UnknownTopic
from contanos.messages import Detection, EndOfStream, FrameResult
from contanos.stage.contract import BatchStage, Item, Task, TaskStage
from contanos.stage.graph import Graph, Step, wire
from contanos.video.frame import Frame


class Double(BatchStage):
    """Answers each frame with one detection whose score is twice the frame's number.

    Args:
        fault: called with every frame's number; may raise, or wait.
        batch_size: see `BatchStage`.
    """

    name = "double"

    def __init__(self, fault: Callable[[int], None] = lambda _: None, batch_size: int = 1) -> None:
        self.batch_size = batch_size
        self.largest_batch = 0
        self.tasks_in_a_batch = 0
        self._fault = fault

    def process(self, items: Sequence[Item]) -> list[FrameResult]:
        self.largest_batch = max(self.largest_batch, len(items))
        tasks = {item.task.task_id for item in items}
        self.tasks_in_a_batch = max(self.tasks_in_a_batch, len(tasks))
        return [self._answer(item) for item in items]

    def _answer(self, item: Item) -> FrameResult:
        assert item.frame is not None
        number = item.result.frame_id
        self._fault(number)
        found = Detection(bbox=(0.0, 0.0, 1.0, 1.0), score=2.0 * number)
        return replace(item.result, detections=(found,))


class Total(TaskStage):
    """Adds up the scores of a task: a state that a lost or repeated frame would spoil.

    Args:
        fault: called with every frame's number; may raise.
    """

    name = "total"
    pixels = False

    def __init__(self, fault: Callable[[int], None] = lambda _: None) -> None:
        self._fault = fault
        self._sum = 0.0
        self._frames = 0

    def process(self, item: Item) -> FrameResult:
        self._fault(item.result.frame_id)
        self._sum += sum(each.score for each in item.result.detections)
        self._frames += 1
        found = Detection(bbox=(0.0, 0.0, 1.0, 1.0), score=self._sum)
        return replace(item.result, detections=(found,))

    def snapshot(self) -> bytes:
        return json.dumps([self._sum, self._frames]).encode()

    def restore(self, state: bytes) -> None:
        self._sum, self._frames = json.loads(state)

    def checkpoint_due(self) -> bool:
        return self._frames % 5 == 0


class Collect(TaskStage):
    """Keeps what arrives, and the end of the stream, where a test can see it."""

    name = "collect"

    def __init__(self, seen: list[FrameResult], ends: list[EndOfStream]) -> None:
        self._seen = seen
        self._ends = ends
        self._begun = False

    def process(self, item: Item) -> FrameResult:
        if not self._begun:  # what an earlier one saw after the last commit comes again
            del self._seen[item.result.frame_id - item.task.first_frame :]
            self._begun = True
        self._seen.append(item.result)
        return item.result

    def snapshot(self) -> bytes:
        return json.dumps(len(self._seen)).encode()

    def restore(self, state: bytes) -> None:
        del self._seen[json.loads(state) :]

    def finish(self, end: EndOfStream) -> None:
        self._ends.append(end)


TEST_GRAPH = wire("test", [Step(Double), Step(Total)], [Step(Collect)])


def grey_frame(frame_id: int, width: int = 16, height: int = 16) -> Frame:
    """A frame whose pixels do not matter."""
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    luma = np.full((height, width), 128, np.uint8)
    return Frame(frame_id, frame_id, Fraction(1, 30), luma, chroma, chroma)


def create_topics(bus: Bus, graph: Graph, task: Task) -> None:
    """The topics that a task needs on `graph`."""
    for stage in (None, *(node.stage for node in graph.nodes if node.output)):
        name = topic_name(stage or RAW_FRAMES, task.task_id)
        bus.create_topic(name, graph.topic(stage, task.partitions, capacity=256))


def publish(bus: Bus, task: Task, frames: int) -> threading.Thread:
    """Sends `frames` grey frames, over the partitions in turn, and the end of the stream.

    They begin at the task's first frame.

    On a thread of its own, which gives up when the topic goes, as when a test ends its task early.
    """
    thread = threading.Thread(target=_publish, args=(bus, task, frames), daemon=True)
    thread.start()
    return thread


def _publish(bus: Bus, task: Task, frames: int) -> None:
    producer, topic = bus.producer(), topic_name(RAW_FRAMES, task.task_id)
    with suppress(UnknownTopic):
        for i in range(frames):
            number = task.first_frame + i
            producer.send(topic, number, grey_frame(number), i % task.partitions)
        for partition in range(task.partitions):
            end = EndOfStream(
                task_id=task.task_id, frames=frames, reason="completed", partition=partition
            )
            producer.send(topic, task.first_frame + frames, end, partition)
        producer.flush()


def task_value(task: Task) -> bytes:
    """A task for the table of tasks; `read_task` understands it."""
    size = (task.width, task.height)
    fields = (task.task_id, *size, task.rate, task.partitions, task.first_frame)
    return json.dumps(fields).encode()


def read_task(value: bytes) -> Task:
    """The inverse of `task_value`."""
    return Task(*json.loads(value))
