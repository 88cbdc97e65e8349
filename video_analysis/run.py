"""One file through the whole chain in this process: what `contanos run` does."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from contanos.bus import open_bus
from contanos.bus.topics import checked_task_id
from contanos.errors import TaskFailed
from contanos.stage.contract import Task
from contanos.stage.graph import Graph
from contanos.stage.progress import Progress, ended, positions_of, progress_of
from contanos.stage.supervisor import Supervisor
from contanos.stage.tasks import Tasks
from video_analysis.assembly import Assembly, create_topics, make_kit
from video_analysis.control.books import Books, IngestReport, Order
from video_analysis.control.feed import Feed
from video_analysis.control.prepare import make_job, open_source
from video_analysis.control.report import summarise
from video_analysis.job import read_task
from video_analysis.pipeline import graph_of
from video_analysis.results.summary import Summary, write_summary
from video_analysis.settings import Options, Settings
from video_analysis.workspace import Workspace

_SWITCH_SECONDS = 0.0005
_LOOK_UP = 0.1
_SAMPLE = 1 << 20
USERS_FAULTS = frozenset({"InputError", "VideoError", "SettingError", "OutputError"})
"""Kinds of failure that are not ours."""

LATER = frozenset({"first_frame", "blur"})
"""Options that there were not when tasks first got their names, which must stay as they were."""

Watch = Callable[["Running"], None]


@dataclass(frozen=True, slots=True)
class Running:
    """How far a run is.

    Attributes:
        frames: that came out at the end of the chain.
        total: that the file's header speaks of; None where it does not.
        seconds: since the first frame was read.
    """

    frames: int
    total: int | None
    seconds: float


class Run:
    """One file, one process, one result.

    Args:
        video: the input file.
        folder: where the outputs go; made where it is missing.
        options: of the task.
        settings: of the installation.
        task_id: by default made from the file and the options.

    Raises:
        InputError: the video cannot be used.
        ModelError: a model cannot be had.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        video: Path,
        folder: Path,
        options: Options,
        settings: Settings,
        task_id: str | None = None,
    ) -> None:
        self._settings = settings
        self._cleanup = ExitStack()
        with self._cleanup:
            self._source = self._cleanup.enter_context(open_source(str(video), settings))
            self._workspace = self._cleanup.enter_context(Workspace(folder, protect=video))
            self._job = make_job(_order(video, folder, options, task_id), self._source, settings)
            self._kit = make_kit(self._job.metadata.models, settings)
            self._bus = open_bus("memory://")
            self._cleanup.callback(self._bus.close)
            self._tasks = Tasks(self._bus, read_task)
            self._tasks.add(self._job.task_id, msgspec.json.encode(self._job))
            self._cleanup = self._cleanup.pop_all()

    def cancel(self) -> None:
        """End early, with the frames on their way finished. Safe from any thread."""
        self._tasks.cancel(self._job.task_id)

    def work(self, watch: Watch) -> Summary:
        """Run to the end.

        Args:
            watch: called several times a second.

        Returns:
            What `summary.json` holds too.

        Raises:
            TaskFailed: the chain could not finish.
            OutputError: an output could not be written.
        """
        with self._cleanup:
            started = time.perf_counter()
            self._workspace.remove_outputs()
            ingest, progress = self._process(watch, started)
            seconds = time.perf_counter() - started
            summary = summarise(self._job, ingest, progress, seconds)
            write_summary(summary, self._job.outputs)
            return summary

    def _process(self, watch: Watch, started: float) -> tuple[IngestReport, Progress]:
        bus, task = self._bus, read_task(msgspec.json.encode(self._job))
        graph, reports = graph_of(task), Books.on(bus).ingests
        with _quick_switches(), _pool(self._settings.workers) as pool:
            create_topics(bus, graph, task, self._settings.frames_in_flight)
            assembly = Assembly(bus, self._tasks, self._kit, pool)
            supervisor = Supervisor(assembly.runners([graph]), self._tasks)
            feed = Feed(bus, self._tasks, task, self._source, reports, self._settings)
            supervisor.start()
            feed.start()
            try:
                progress = self._wait(graph, task, watch, started)
            finally:
                self.cancel()  # whatever still flies when we leave early has nowhere to go
                supervisor.stop()
                bus.close()
                feed.join()
        if failure := self._tasks.failure(task.task_id):
            ours = failure.kind not in USERS_FAULTS
            raise TaskFailed(str(failure)) if ours else failure.error()
        report = reports.get(task.task_id)
        assert report
        return report, progress

    def _wait(self, graph: Graph, task: Task, watch: Watch, started: float) -> Progress:
        total = self._job.frames_expected
        while True:
            progress = progress_of(positions_of(self._bus, graph), graph, task)
            done = min(progress[sink].done for sink in graph.sinks)
            watch(Running(done, total, time.perf_counter() - started))
            if ended(progress, progress) or self._tasks.failure(task.task_id):
                return progress
            self._tasks.wait(_LOOK_UP)


def _order(video: Path, folder: Path, options: Options, task_id: str | None) -> Order:
    return Order(
        task_id=checked_task_id(task_id or natural_task_id(video, options)),
        source=str(video),
        folder=str(folder),
        options=options,
        ordered=time.time(),
    )


def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="inference")


@contextmanager
def _quick_switches() -> Iterator[None]:
    """A stage's few lines of Python wait less for the interpreter while others compute."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def natural_task_id(video: Path, options: Options) -> str:
    """The same file with the same options is the same task, so its result is the same bytes."""
    digest = hashlib.sha256(msgspec.json.encode(_telling(options)))
    with video.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(size.to_bytes(8, "little"))
        for start in (0, max(0, size - _SAMPLE)):
            file.seek(start)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


def _telling(options: Options) -> dict[str, object]:
    """The options that name a task: of those that came later only what was chosen."""
    fields: dict[str, object] = msgspec.to_builtins(options)
    defaults = msgspec.to_builtins(Options())
    return {key: fields[key] for key in fields if key not in LATER or fields[key] != defaults[key]}
