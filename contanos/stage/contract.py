"""What a stage is: one class that knows neither the bus nor the web.

Two shapes:

- A `BatchStage` is stateless. It answers a batch of items, which may come from several tasks, and
  is called from several threads at once.
- A `TaskStage` is one task's state. It sees the task's frames one by one, in order, and can be
  put away (`snapshot`) and brought back (`restore`) at any frame.

The runner owns consume, join, process, produce, commit, retry and metrics.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from contanos.messages import EndOfStream, FrameResult
from contanos.video.frame import Frame


@dataclass(frozen=True, slots=True)
class Task:
    """One video or camera, and how it is to be processed.

    Attributes:
        task_id: checked by `contanos.bus.topics.checked_task_id`.
        width: of the pictures after rotation, in pixels.
        height: likewise.
        rate: nominal frames per second.
        partitions: over how many the frames are spread where only stateless stages read.
        first_frame: the `frame_id` of its first frame; frames keep the numbers of their source.
        options: the platform's own settings of this task, read by its stages.
        job: what the platform alone needs of it.
    """

    task_id: str
    width: int
    height: int
    rate: float
    partitions: int = 1
    first_frame: int = 0
    options: Any = None
    job: Any = None


@dataclass(frozen=True, slots=True)
class Item:
    """One frame on its way through a stage.

    Attributes:
        task: whose frame it is.
        result: what the stages before found.
        frame: the pixels; None where the stage asked for none, or where the source had none
            (`result.error` then says why).
    """

    task: Task
    result: FrameResult
    frame: Frame | None = None


class BatchStage(ABC):
    """Stateless over a batch of frames.

    Attributes:
        name: of the stage, its topic and its consumer group.
        pixels: whether it looks at the frames, or at the results before it only.
        batch_size: units of work that one batch should hold.
        linger: seconds that an incomplete batch waits for more work.
    """

    name: ClassVar[str]
    pixels: ClassVar[bool] = True
    batch_size: int = 1
    linger: float = 0.0

    def units(self, item: Item) -> int:
        """How much of a batch `item` fills; 0 where there is nothing to infer."""
        return 1

    @abstractmethod
    def process(self, items: Sequence[Item]) -> list[FrameResult]:
        """One result an item, in the same order. Thread-safe."""


class TaskStage(ABC):
    """The state of one task. One object a task; never called from two threads at once.

    Attributes:
        name: of the stage, its topic and its consumer group.
        pixels: whether it looks at the frames, or at the results before it only.
    """

    name: ClassVar[str]
    pixels: ClassVar[bool] = True

    @abstractmethod
    def process(self, item: Item) -> FrameResult:
        """The next frame in order. A frame that failed earlier comes too: `result.error` is set."""

    @abstractmethod
    def snapshot(self) -> bytes:
        """Everything that the next `process` depends on."""

    @abstractmethod
    def restore(self, state: bytes) -> None:
        """Become what `snapshot` saw."""

    def checkpoint_due(self) -> bool:
        """Whether now is a good moment for a snapshot and a commit."""
        return True

    def finish(self, end: EndOfStream) -> None:
        """The stream ended; make what was written final.

        It comes again if the worker dies before the end is committed, after `restore` and the
        frames since; so it must leave alone what it would need then.
        """

    def discard(self) -> None:
        """The end is committed: remove what only a restart would have needed."""

    def close(self) -> None:
        """Let go of what is open; called once, also without `finish`."""
