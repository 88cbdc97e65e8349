"""One file through the whole chain in this process: what `contanos run` does."""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from contanos import __version__
from contanos.bus import Bus, open_bus
from contanos.errors import BusError, InputError, OutputError, TaskFailed
from contanos.stage.contract import Task
from contanos.stage.supervisor import Supervisor
from contanos.stage.tasks import Tasks
from contanos.video.encoder import PictureFormat
from contanos.video.limits import Limits
from contanos.video.source import VideoSource
from video_analysis.assembly import Assembly, Kit
from video_analysis.ingest import STAGE as INGEST
from video_analysis.ingest import FileIngest
from video_analysis.job import Job
from video_analysis.models.load import load_models
from video_analysis.pipeline import graph as wired
from video_analysis.report import summarise
from video_analysis.results.metadata import Metadata
from video_analysis.results.summary import Summary, write_summary
from video_analysis.settings import Options, Settings
from video_analysis.workspace import Workspace

_SWITCH_SECONDS = 0.0005
_LOOK_UP = 0.1
_SAMPLE = 1 << 20

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

    Raises:
        InputError: the video cannot be used.
        ModelError: a model cannot be had.
        OutputError: the folder cannot be written.
    """

    def __init__(self, video: Path, folder: Path, options: Options, settings: Settings) -> None:
        self._options = options
        self._settings = settings
        self._video = video
        self._cleanup = ExitStack()
        with self._cleanup:
            limits = Limits(settings.max_pixels, settings.max_frames)
            self._source = self._cleanup.enter_context(VideoSource(video, limits))
            self._workspace = self._cleanup.enter_context(Workspace(folder, protect=video))
            self._models = load_models(options, settings.workers)
            self._graph = wired(options.graph, options.video)
            self._job = self._plan(folder)
            self._tasks = Tasks()
            self._tasks.add(self._job.task)
            self._cleanup = self._cleanup.pop_all()

    def cancel(self) -> None:
        """End early, with the frames on their way finished. Safe from any thread."""
        self._tasks.cancel(self._job.task.task_id)

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
            self._process(watch, started)
            seconds = time.perf_counter() - started
            progress = self._tasks.progress(self._job.task.task_id)
            summary = summarise(self._job, self._graph, self._source, progress, seconds)
            write_summary(summary, self._job.folder)
            return summary

    def _plan(self, folder: Path) -> Job:
        source, options = self._source, self._options
        task_id = _task_id(self._video, options)
        base = source.time_base
        rate = float(source.rate)
        return Job(
            task=Task(task_id, source.width, source.height, rate, options),
            options=options,
            source=self._video,
            folder=folder,
            pictures=PictureFormat.of(source),
            metadata=Metadata(
                task_id=task_id,
                version=__version__,
                width=source.width,
                height=source.height,
                time_base=(base.numerator, base.denominator),
                stage=self._graph.last,
                skeleton=self._models.skeleton,
                models=self._models.used,
                settings=msgspec.to_builtins(options),
            ),
        )

    def _process(self, watch: Watch, started: float) -> None:
        bus = open_bus(self._settings.bus)
        job, task_id = self._job, self._job.task.task_id
        with _quick_switches(), _pool(self._settings.workers) as pool:
            kit = Kit(self._models, self._settings, lambda _: job)
            assembly = Assembly(bus, self._tasks, kit, pool)
            assembly.create_topics(self._graph, task_id)
            supervisor = Supervisor(assembly.runners(self._graph), self._tasks)
            ingest = threading.Thread(target=self._ingest, args=(bus,), name=INGEST)
            supervisor.start()
            ingest.start()
            try:
                self._wait(watch, started)
            finally:
                self.cancel()  # whatever still flies when we leave early has nowhere to go
                supervisor.stop()
                bus.close()
                ingest.join()
        if failure := self._tasks.failure(task_id):
            ours = not isinstance(failure.error, InputError | OutputError)
            raise (TaskFailed if ours else type(failure.error))(str(failure)) from failure.error

    def _wait(self, watch: Watch, started: float) -> None:
        task_id = self._job.task.task_id
        sinks = self._graph.sinks
        over = False
        while not over:
            over = self._tasks.wait_ended(task_id, sinks, _LOOK_UP)
            done = min(self._tasks.progress(task_id).done[sink] for sink in sinks)
            watch(Running(done, self._total(), time.perf_counter() - started))

    def _ingest(self, bus: Bus) -> None:
        readers = self._graph.readers
        source, task = self._source, self._job.task
        in_flight = self._settings.in_flight_for(source.width, source.height)
        limit = self._options.max_frames
        try:
            FileIngest(bus, self._tasks, task, source, readers, in_flight, limit).run()
        except BusError as e:
            if not self._tasks.cancelled(task.task_id):
                self._tasks.fail(task.task_id, INGEST, e)
        except Exception as e:  # the thread's boundary: the task must learn of it
            self._tasks.fail(task.task_id, INGEST, e)

    def _total(self) -> int | None:
        estimate, limit = self._source.frames_estimate, self._options.max_frames
        return min(estimate, limit) if estimate and limit else estimate or limit


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


def _task_id(video: Path, options: Options) -> str:
    """The same file with the same options is the same task, so its result is the same bytes."""
    digest = hashlib.sha256(msgspec.json.encode(options))
    with video.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(size.to_bytes(8, "little"))
        for start in (0, max(0, size - _SAMPLE)):
            file.seek(start)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]
