"""One task in a reconciler's charge: what is the next thing to do for it, and doing it."""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import structlog

from contanos.bus import Bus
from contanos.errors import BusError, ContanosError, InputError, OutputError, TaskFailed
from contanos.stage.contract import Task
from contanos.stage.progress import Positions, Progress, ended, progress_of
from contanos.stage.tasks import Failure, Tasks
from contanos.video.source import VideoSource
from video_analysis.assembly import create_topics, delete_topics
from video_analysis.control.books import DROPPED, Books, Order, Outcome
from video_analysis.control.feed import Feed
from video_analysis.control.ingest import STAGE as INGEST
from video_analysis.control.prepare import make_job, open_source
from video_analysis.control.report import summarise
from video_analysis.control.stall import Stall
from video_analysis.job import job_of, read_task
from video_analysis.pipeline import graph_for, graph_of
from video_analysis.results.summary import write_summary
from video_analysis.settings import Settings
from video_analysis.workspace import FolderBusy, Workspace

log = structlog.get_logger(__name__)

Step = Callable[[], None]


class Charge:
    """One task.

    Every step can be repeated, and can be taken by another reconciler after any other.

    Attributes:
        order: what is wanted.
        feeding: whether it counts as running.
    """

    def __init__(
        self, bus: Bus, tasks: Tasks, books: Books, order: Order, settings: Settings
    ) -> None:
        self.order = order
        self.feeding = True
        self._bus = bus
        self._tasks = tasks
        self._books = books
        self._settings = settings
        self._feed: Feed | None = None
        self._open = ExitStack()
        self._stall = Stall(settings.stall_seconds)
        self._workspace: Workspace | None = None
        self._since = time.monotonic()

    def next_step(self, positions: Positions) -> Step | None:
        """What is to be done now; None while there is nothing but to wait.

        Args:
            positions: what the stages' groups have committed.
        """
        task_id = self.order.task_id
        if outcome := self._books.outcomes.get(task_id):
            self.feeding = False
            swept = outcome.at + self._settings.grace_seconds
            return self._remove if time.time() >= swept else None
        task = self._tasks.get(task_id)
        if failure := self._tasks.failure(task_id):
            return lambda: self._fail(failure)
        if task is None or self._feed is None:
            return self._begin
        if not self._feed.is_alive() and not self._feed.finished:
            return self.release  # it broke off; the next look begins anew
        progress = progress_of(positions, graph_of(task), task)
        if self._is_over(task, progress):
            return lambda: self._complete(task, progress)
        self._look_for_stall(task, progress)
        return None

    def release(self) -> None:
        """Leave the task as it is, to be taken up again by us or another."""
        if self._feed:
            self._feed.leave()
            if self._feed.is_alive():
                self._feed.join()
        self._feed = self._workspace = None
        self._open.close()

    def _begin(self) -> None:
        """Open the file; then what every worker needs: the job, the topics; then feed."""
        order = self.order
        try:
            with ExitStack() as undo:
                source = undo.enter_context(open_source(order.source, self._settings))
                task = self._task(source)
                fresh = self._tasks.get(order.task_id) is None
                workspace = undo.enter_context(self._folder(resume=not fresh))
                if fresh:
                    workspace.remove_outputs()
                    self._tasks.add(order.task_id, msgspec.json.encode(job_of(task)))
                create_topics(self._bus, graph_of(task), task, self._settings.frames_in_flight)
                reports = self._books.ingests
                self._feed = Feed(self._bus, self._tasks, task, source, reports, self._settings)
                self._workspace = workspace
                workspace.keep = True
                self._open = undo.pop_all()
            self._feed.start()
        except FolderBusy as e:  # its former reconciler may be about to let go of it
            if time.monotonic() - self._since > self._settings.stall_seconds:
                self._tasks.fail(order.task_id, INGEST, OutputError(str(e)))
        except (ContanosError, OSError) as e:
            if isinstance(e, BusError):
                self._bus.ready()  # raises while brokers are away: that is no task's fault
            self._tasks.fail(order.task_id, INGEST, e)

    def _task(self, source: VideoSource) -> Task:
        known = self._tasks.get(self.order.task_id)
        job = job_of(known) if known else make_job(self.order, source, self._settings)
        return read_task(msgspec.json.encode(job))

    def _is_over(self, task: Task, progress: Progress) -> bool:
        """Every stage, not only the last: what one sent is seen before it has committed that."""
        reported = self._books.ingests.get(task.task_id) is not None
        return reported and ended(progress, progress)

    def _complete(self, task: Task, progress: Progress) -> None:
        job, report = job_of(task), self._books.ingests.get(task.task_id)
        assert report
        try:
            summary = summarise(job, report, progress, time.time() - job.started)
            lacking = summary.reason == "completed" and not summary.proof.complete
            if not lacking:
                write_summary(summary, job.outputs)
        except (InputError, OutputError) as e:  # the result is damaged, or the disk is full
            self._fail(Failure.of("summary", e))
            return
        if lacking:
            self._fail(Failure.of("proof", TaskFailed(f"frames are missing: {summary.proof}")))
            return
        self._note(Outcome(reason=summary.reason, at=time.time()))

    def _fail(self, failure: Failure) -> None:
        if failure.stage == DROPPED:
            self._note(Outcome(reason="cancelled", at=time.time()))
            return
        log.error("task failed", task_id=self.order.task_id, cause=str(failure))
        self._note(Outcome(reason="failed", at=time.time(), cause=str(failure), kind=failure.kind))

    def _note(self, outcome: Outcome) -> None:
        """Note how it ended, after what is not final is removed and the folder's lock with it.

        The first outcome stands: by one that was away for a while, more may have been done since.
        """
        self.feeding = False
        if self._workspace:
            self._workspace.keep = False
        else:
            with suppress(OutputError), self._folder(resume=True):
                pass  # entered and left: what an earlier reconciler's task left goes with it
        self.release()
        if self._books.outcomes.get(self.order.task_id) is None:
            self._books.outcomes.put(self.order.task_id, outcome)

    def _folder(self, resume: bool) -> Workspace:
        return Workspace(Path(self.order.folder), Path(self.order.source), resume)

    def _look_for_stall(self, task: Task, progress: Progress) -> None:
        read = self._feed.read if self._feed else 0
        if where := self._stall.look(graph_of(task), progress, self._published(task), read):
            seconds = self._settings.stall_seconds
            error = TaskFailed(f"no frame came out for {seconds:g} s; is the service running?")
            self._tasks.fail(task.task_id, where, error)

    def _published(self, task: Task) -> int | None:
        report = self._books.ingests.get(task.task_id)
        return report.published if report else None

    def _remove(self) -> None:
        """After the grace period: nothing of the task is left on the bus but its outcome."""
        task_id = self.order.task_id
        delete_topics(self._bus, graph_for(self.order.options), task_id)
        self._tasks.remove(task_id)
        self._books.ingests.remove(task_id)
        self._books.orders.remove(task_id)
