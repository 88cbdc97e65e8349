"""A task's ingest on a thread of its own; whatever stops it, the task learns of it."""

import threading

import structlog

from contanos.bus import Bus
from contanos.errors import BusError, TopicFull, UnknownTopic
from contanos.stage.contract import Task
from contanos.stage.tasks import Tasks
from contanos.video.codec import FrameCodec
from contanos.video.source import VideoSource
from video_analysis.control.books import Book, IngestReport
from video_analysis.control.ingest import STAGE, FileIngest
from video_analysis.job import job_of
from video_analysis.pipeline import graph_of
from video_analysis.settings import Settings

log = structlog.get_logger(__name__)


class Feed(threading.Thread):
    """Feeds one task.

    Args:
        bus: the task's topics exist on it.
        tasks: where a cancel or failure is seen, and told.
        task: made by `read_task`.
        source: its open video, which is closed by whoever opened it.
        reports: where it is noted what was done.
        settings: of the installation.

    Attributes:
        finished: it sent the end of the stream, or was told to leave.
    """

    def __init__(
        self,
        bus: Bus,
        tasks: Tasks,
        task: Task,
        source: VideoSource,
        reports: Book[IngestReport],
        settings: Settings,
    ) -> None:
        super().__init__(name=f"{STAGE} {task.task_id}", daemon=True)
        self._bus = bus
        self._tasks = tasks
        self._task = task
        self._source = source
        self._reports = reports
        self._settings = settings
        self._leave = threading.Event()
        self.finished = False

    def leave(self) -> None:
        """Stop soon, without an end, for another one to go on. Safe from any thread."""
        self._leave.set()

    @property
    def read(self) -> int:
        """Frames that the source has given, those before the task's first one too."""
        return self._source.read

    def run(self) -> None:
        """Feed until the file ends or nobody wants more."""
        task_id = self._task.task_id
        try:
            self._ingest().run()
            self.finished = True
        except (TopicFull, UnknownTopic) as e:
            if self._tasks.get(task_id) and not self._tasks.cancelled(task_id):
                self._tasks.fail(task_id, STAGE, e)
        except BusError as e:  # the brokers were away too long; another feed may go on later
            log.warning("ingest broke off", task_id=task_id, cause=str(e))
        except Exception as e:  # the thread's boundary: the task must learn of it
            self._tasks.fail(task_id, STAGE, e)

    def _ingest(self) -> FileIngest:
        job, source = job_of(self._task), self._source
        return FileIngest(
            self._bus,
            self._tasks,
            self._task,
            source,
            FrameCodec.parse(job.frame_codec),
            graph_of(self._task).readers_of(None),
            self._settings.in_flight_for(source.width, source.height),
            job.options.max_frames,
            self._reports,
            self._leave,
        )
