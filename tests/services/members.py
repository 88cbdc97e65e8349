"""Members of every stage's group in this process, over a real bus: many workers at little cost."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contanos.bus import open_bus
from contanos.bus.kafka.settings import KafkaSettings
from contanos.stage.supervisor import Supervisor
from contanos.stage.tasks import Tasks
from video_analysis.assembly import Assembly, Kit
from video_analysis.control.reconciler import Reconciler
from video_analysis.job import read_task
from video_analysis.pipeline import graphs
from video_analysis.remote import RemoteRun
from video_analysis.results.summary import Summary
from video_analysis.settings import Options, Settings


def fresh_namespace(url: str) -> str:
    """The same broker, with nothing on it."""
    return f"{url.rstrip('/')}/t{secrets.token_hex(4)}"


class Member:
    """One worker of each stage: what a process of each service holds."""

    def __init__(self, settings: Settings, kit: Kit) -> None:
        self._bus = open_bus(settings.bus, KafkaSettings(session_timeout=3.0))
        self._pool = ThreadPoolExecutor(2)
        tasks = Tasks(self._bus, read_task)
        assembly = Assembly(self._bus, tasks, kit, self._pool)
        self._supervisor = Supervisor(assembly.runners(graphs()), tasks)
        self._supervisor.start()

    def close(self) -> None:
        assert self._supervisor.stop(30)
        self._pool.shutdown()
        self._bus.close()


class Feeder:
    """A reconciler on a thread."""

    def __init__(self, settings: Settings) -> None:
        self._bus = open_bus(settings.bus, KafkaSettings(session_timeout=3.0))
        self._reconciler = Reconciler(self._bus, Tasks(self._bus, read_task), settings)
        self._thread = threading.Thread(target=self._reconciler.run)
        self._thread.start()

    def close(self) -> None:
        self._reconciler.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._bus.close()


def run_remotely(
    video: Path, folder: Path, options: Options, settings: Settings, task_id: str
) -> Summary:
    """What `contanos run --bus` does, without its progress bar."""
    return RemoteRun(video, folder, options, settings, task_id).work(lambda _: None)
