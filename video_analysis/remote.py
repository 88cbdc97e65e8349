"""One file through the services on a bus: what `contanos run --bus kafka://…` does."""

import secrets
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from contanos.bus import open_bus
from contanos.bus.topics import checked_task_id
from contanos.errors import BusError, SettingError, TaskFailed
from contanos.stage.progress import positions_of, progress_of
from contanos.stage.tasks import Failure, Tasks
from video_analysis.control.books import Books, Order, Outcome
from video_analysis.control.prepare import open_source
from video_analysis.job import job_of, read_task
from video_analysis.pipeline import graph_of
from video_analysis.results.summary import Summary, read_summary
from video_analysis.run import USERS_FAULTS, Running, Watch, natural_task_id
from video_analysis.settings import Options, Settings

_LOOK = 0.5  # seconds between looks


class RemoteRun:
    """One file, ordered from the services; the backend and the stages must see its path.

    Args:
        video: the input file.
        folder: where the outputs go.
        options: of the task.
        settings: of the installation; its bus is where the services are.
        task_id: by default made from the file, the options and chance.

    Raises:
        InputError: the video cannot be used.
        SettingError: a task of that id is there already.
        BusError: the bus cannot be reached.
    """

    def __init__(
        self,
        video: Path,
        folder: Path,
        options: Options,
        settings: Settings,
        task_id: str | None = None,
    ) -> None:
        open_source(str(video), settings).close()  # refused here, before anybody is bothered
        chance = f"{natural_task_id(video, options)}-{secrets.token_hex(3)}"
        self._order = Order(
            task_id=checked_task_id(task_id or chance),
            source=str(video.resolve()),
            folder=str(folder.resolve()),
            options=options,
            ordered=time.time(),
        )
        with ExitStack() as undo:
            self._bus = open_bus(settings.bus, settings.kafka)
            undo.callback(self._bus.close)
            self._bus.ready()
            self._tasks = Tasks(self._bus, read_task)
            self._books = Books.on(self._bus)
            if self._books.orders.get(self._order.task_id):
                raise SettingError(
                    f"task {self._order.task_id} is there already: wait until it is gone, or "
                    "choose another --task-id"
                )
            self._cleanup = undo.pop_all()

    @property
    def task_id(self) -> str:
        """The task."""
        return self._order.task_id

    def cancel(self) -> None:
        """Ask for an early end, with the frames on their way finished. Safe from any thread."""
        self._tasks.cancel(self.task_id)

    def work(self, watch: Watch) -> Summary:
        """Order, and wait for the outcome.

        Raises:
            TaskFailed: the task failed.
            OutputError: an output could not be written.
        """
        with self._cleanup:
            self._books.outcomes.remove(self.task_id)  # of an earlier task of that name
            self._books.orders.put(self.task_id, self._order)
            outcome = self._wait(watch)
            if outcome.reason == "failed":
                failure = Failure("", outcome.cause or "", outcome.kind)
                ours = outcome.kind not in USERS_FAULTS
                cause = outcome.cause or "no cause was given"
                raise TaskFailed(cause) if ours else type(failure.error())(cause)
            summary = read_summary(Path(self._order.folder))
            watch(Running(summary.proof.tracked, summary.proof.read, summary.wall_seconds))
            return summary

    def _wait(self, watch: Watch) -> Outcome:
        changed = threading.Event()
        self._books.outcomes.on_change(changed.set)
        while (outcome := self._books.outcomes.get(self.task_id)) is None:
            watch(self._running())
            changed.wait(_LOOK)
            changed.clear()
        return outcome

    def _running(self) -> Running:
        task = self._tasks.get(self.task_id)
        if task is None:
            return Running(0, None, 0.0)
        graph, job = graph_of(task), job_of(task)
        try:
            progress = progress_of(positions_of(self._bus, graph), graph, task)
        except BusError:  # away for a while; the services wait too
            return Running(0, job.frames_expected, 0.0)
        done = min(progress[sink].done for sink in graph.sinks)
        return Running(done, job.frames_expected, time.time() - job.started)
