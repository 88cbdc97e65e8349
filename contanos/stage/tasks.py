"""The tasks that this process knows, and how far each stage has come with each."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from contanos.messages import EndOfStream
from contanos.stage.contract import Task


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a task.

    Attributes:
        stage: where.
        error: what was raised there.
    """

    stage: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.stage}: {str(self.error) or repr(self.error)}"


@dataclass(slots=True)
class Progress:
    """One task's counters.

    Attributes:
        done: frames that each stage put out.
        failed: of these, the ones that it, or a stage before it, could not process.
        seconds: time that each stage spent in `process`.
        ended: the end of stream as each stage saw it.
    """

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    ended: dict[str, EndOfStream] = field(default_factory=dict)


class Tasks:
    """A registry shared by the runners of one process. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tasks: dict[str, Task] = {}
        self._progress: dict[str, Progress] = {}
        self._cancelled: set[str] = set()
        self._failures: dict[str, Failure] = {}

    def add(self, task: Task) -> None:
        """Make a task known; runners drop the records of tasks that are not."""
        with self._changed:
            self._tasks[task.task_id] = task
            self._progress[task.task_id] = Progress()

    def remove(self, task_id: str) -> None:
        """Forget a task."""
        with self._changed:
            for mapping in (self._tasks, self._progress, self._failures):
                mapping.pop(task_id, None)
            self._cancelled.discard(task_id)

    def get(self, task_id: str) -> Task | None:
        """The task, or None where it is not known, or no longer."""
        with self._changed:
            return self._tasks.get(task_id)

    def progress(self, task_id: str) -> Progress:
        """The counters of a known task; read them, do not write."""
        with self._changed:
            return self._progress[task_id]

    def count(self, task_id: str, stage: str, frame_id: int, failed: bool) -> None:
        """A stage put out a frame; one that it had put out before, as after a crash, counts once.

        Frames of a task leave a stage in order and without gaps.
        """
        with self._changed:
            progress = self._progress.get(task_id)
            if progress and frame_id >= progress.done[stage]:
                progress.done[stage] += 1
                progress.failed[stage] += failed

    def spend(self, task_id: str, stage: str, seconds: float) -> None:
        """Add time that a stage spent."""
        with self._changed:
            if progress := self._progress.get(task_id):
                progress.seconds[stage] += seconds

    def end(self, stage: str, end: EndOfStream) -> None:
        """A stage saw the end of the stream and has nothing left to do."""
        with self._changed:
            if progress := self._progress.get(end.task_id):
                progress.ended[stage] = end
            self._changed.notify_all()

    def cancel(self, task_id: str) -> None:
        """Ask for an early end: frames on their way are finished, no new one is begun."""
        with self._changed:
            self._cancelled.add(task_id)

    def cancelled(self, task_id: str) -> bool:
        """Whether somebody asked for an early end."""
        with self._changed:
            return task_id in self._cancelled

    def fail(self, task_id: str, stage: str, error: BaseException) -> None:
        """A task cannot go on; the first failure is kept."""
        with self._changed:
            self._failures.setdefault(task_id, Failure(stage, error))
            self._changed.notify_all()

    def failure(self, task_id: str) -> Failure | None:
        """Why the task failed, or None."""
        with self._changed:
            return self._failures.get(task_id)

    def wait_ended(self, task_id: str, stages: set[str], timeout: float) -> bool:
        """Wait until every one of `stages` saw the end, or the task failed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._over(task_id, stages), timeout)

    def over(self, task_id: str, stage: str) -> bool:
        """Whether `stage` has nothing left to do for the task, or the task is not known."""
        with self._changed:
            known = task_id in self._tasks and task_id not in self._failures
            return not known or stage in self._progress[task_id].ended

    def _over(self, task_id: str, stages: set[str]) -> bool:
        return task_id in self._failures or stages <= set(self._progress[task_id].ended)
