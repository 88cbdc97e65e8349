"""The desk: where tasks are ordered from the stages, and asked after."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from contanos.bus import Bus
from contanos.errors import TaskFailed
from contanos.stage.contract import Task
from contanos.stage.progress import Progress, positions_of, progress_of
from contanos.stage.tasks import Tasks
from video_analysis.control.books import DROPPED, Books, Order, Outcome
from video_analysis.job import job_of
from video_analysis.pipeline import graph_of
from video_analysis.settings import Options


class Desk:
    """Orders on one bus. Safe from any thread; what writes waits for the brokers.

    Every method raises `BusError` while these cannot be reached.

    Args:
        bus: where the stages are.
        tasks: those that are begun.

    Attributes:
        bus: likewise.
        tasks: likewise.
    """

    def __init__(self, bus: Bus, tasks: Tasks) -> None:
        self.bus = bus
        self.tasks = tasks
        self._books = Books.on(bus)

    def order(self, task_id: str, source: Path, folder: Path, options: Options) -> None:
        """Have a task done, unless it was ordered before.

        Args:
            task_id: never used before for another one.
            source: the video; it stays where it is until the outcome is known.
            folder: for the outputs.
            options: how it is processed.
        """
        if self.ordered(task_id) or self.outcome(task_id):
            return
        order = Order(
            task_id=task_id,
            source=str(source),
            folder=str(folder),
            options=options,
            ordered=time.time(),
        )
        self._books.orders.put(task_id, order)

    def ordered(self, task_id: str) -> bool:
        """Whether it was ordered, and is not swept yet."""
        return self._books.orders.get(task_id) is not None

    def outcome(self, task_id: str) -> Outcome | None:
        """How it ended; None as long as it did not."""
        return self._books.outcomes.get(task_id)

    def cancel(self, task_id: str) -> None:
        """Ask for an early end; what is on its way is finished."""
        if not self.tasks.cancelled(task_id):
            self.tasks.cancel(task_id)

    def drop(self, task_id: str) -> None:
        """Ask for an end at once: nobody wants what there is."""
        self.cancel(task_id)
        self.tasks.fail(task_id, DROPPED, TaskFailed("nobody wants it any more"))

    def asked_to_end(self, task_id: str, dropped: bool) -> bool:
        """Whether somebody asked for that."""
        asked = self.tasks.cancelled(task_id)
        return asked and (not dropped or self.tasks.failure(task_id) is not None)

    def end_now(self, task_id: str) -> None:
        """Have a task end that nobody wants, and its topics go without waiting for their grace."""
        outcome = self.outcome(task_id)
        if outcome is None:
            self.drop(task_id)
        elif outcome.at:
            swept = Outcome(reason=outcome.reason, at=0.0, cause=outcome.cause, kind=outcome.kind)
            self._books.outcomes.put(task_id, swept)

    def forget(self, task_id: str) -> None:
        """Remove what is known of a task that is swept."""
        self._books.outcomes.remove(task_id)

    def progress(self, task_ids: Collection[str]) -> dict[str, tuple[Progress, int | None]]:
        """How far tasks are: one look at the bus for all of them.

        Args:
            task_ids: those of interest.

        Returns:
            For each that has begun, the progress of its stages, and how many frames its header
            speaks of.
        """
        begun = [task for each in task_ids if (task := self.tasks.get(each))]
        positions = positions_of(self.bus, *map(graph_of, begun))
        return {
            task.task_id: (progress_of(positions, graph_of(task), task), _expected(task))
            for task in begun
        }

    def on_outcome(self, told: Callable[[], None]) -> None:
        """Have `told` called whenever a task ends, by a thread of the bus; it must be quick."""
        self._books.outcomes.on_change(told)


def _expected(task: Task) -> int | None:
    return job_of(task).frames_expected
