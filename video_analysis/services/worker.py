"""What a service consists of: its runners, and for the backend the reconciler."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from contanos.bus import open_bus
from contanos.bus.topics import RAW_FRAMES, topic_prefix
from contanos.service.answers import ServiceInfo
from contanos.service.board import Board
from contanos.service.metrics import PrometheusMeter, process_registry
from contanos.stage.lane import prefixes
from contanos.stage.runner import Runner
from contanos.stage.supervisor import Supervisor
from contanos.stage.tasks import Tasks
from video_analysis.assembly import Assembly, Kit, make_kit
from video_analysis.control.desk import Desk
from video_analysis.control.reconciler import Reconciler
from video_analysis.job import read_task
from video_analysis.models.load import choose_models
from video_analysis.models.shelf import ByModel
from video_analysis.pipeline import graph_of, graphs
from video_analysis.services import SERVICES
from video_analysis.services.here import Web
from video_analysis.settings import Options, Settings

_PAUSE = 1.0  # seconds before a reconciler that died is replaced

log = structlog.get_logger(__name__)


def assemble(names: Sequence[str], settings: Settings) -> "Worker":
    """The services `names`, not yet started."""
    return Worker(names, settings)


class Worker:
    """Some services in this process.

    Args:
        names: of the services.
        settings: of the installation.

    Attributes:
        desk: where tasks are ordered.
    """

    def __init__(self, names: Sequence[str], settings: Settings) -> None:
        self._names = [name for name in SERVICES if name in names]
        self._settings = settings
        self._bus = open_bus(settings.bus, settings.kafka)
        self.registry = process_registry(self._bus)
        self._stages = [stage for name in self._names for stage in SERVICES[name].stages]
        self._meter = PrometheusMeter(self.registry, self._stages)
        self._tasks = Tasks(self._bus, read_task)
        self.desk = Desk(self._bus, self._tasks)
        self._graphs = graphs()
        self._kit: Kit = make_kit(choose_models(Options()), settings, load=False)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="inference")
        self._supervisor: Supervisor | None = None
        self._reconciler: Reconciler | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.boards: Mapping[str, Board] = {name: self._board(name) for name in self._names}
        self.infos: Mapping[str, ServiceInfo] = {name: self._info(name) for name in self._names}
        self.webs: Mapping[str, Web] = {"backend": self._web()} if "backend" in names else {}

    def start(self) -> None:
        """Load models, then start every thread."""
        for model in self._models().values():
            model.load()
        self._supervisor = Supervisor(self._runners(), self._tasks, self._meter)
        self._supervisor.start()
        if "backend" in self._names:
            self._thread = threading.Thread(target=self._reconcile, name="reconciler", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """In the order of the flow; what was not committed will come again."""
        self._stopping.set()
        if self._reconciler:
            self._reconciler.stop()
        if self._thread:
            self._thread.join(30)
        if self._supervisor:
            self._supervisor.stop()
        self._pool.shutdown()
        self._bus.close()

    def dead(self) -> str | None:
        """Why only a new process would help, or None."""
        ended = self._supervisor.ended() if self._supervisor else None
        return f"the runner of {ended} has ended" if ended else None

    def _models(self) -> dict[str, ByModel]:
        """The models that our services need, by service."""
        needed = {"yolox": self._kit.detector, "rtmpose": self._kit.pose}
        return {name: model for name, model in needed.items() if name in self._names}

    def _runners(self) -> list[Callable[[], Runner]]:
        assembly = Assembly(self._bus, self._tasks, self._kit, self._pool, self._meter)
        return assembly.runners(self._graphs, self._stages)

    def _reconcile(self) -> None:
        while not self._stopping.is_set():
            try:
                self._reconciler = Reconciler(self._bus, self._tasks, self._settings)
                self._reconciler.run()
            except Exception:  # the purpose: a reconciler's death is not the process's
                log.exception("reconciler died, starting another")
                self._stopping.wait(_PAUSE)

    def _web(self) -> Web:
        from video_analysis.services.control import ControlPlane  # seconds, for the backend alone

        return ControlPlane(self.desk, self.infos["backend"], self.boards["backend"], self.registry)

    def _board(self, name: str) -> Board:
        checks = {}
        if model := self._models().get(name):
            checks["model"] = lambda: None if model.loaded else "not loaded yet"
        own, *others = SERVICES[name].stages
        beside = [Board(self._bus, self._tasks, stage, graph_of) for stage in others]
        return Board(self._bus, self._tasks, own, graph_of, checks, beside=beside)

    def _info(self, name: str) -> ServiceInfo:
        stages = SERVICES[name].stages
        nodes = [node for wired in self._graphs for node in wired.nodes if node.stage in stages]
        reads = {f"{prefix}<task_id>" for node in nodes for prefix in prefixes(node)}
        writes = sorted({topic_pattern(node.stage) for node in nodes if node.output})
        if name == "backend":
            writes.append(topic_pattern(RAW_FRAMES))
        return ServiceInfo(
            name=name,
            summary=SERVICES[name].summary,
            reads=tuple(sorted(reads)),
            writes=tuple(writes),
            stages=stages,
        )


def topic_pattern(stage: str) -> str:
    """A stage's topics, for people to read."""
    return f"{topic_prefix(stage)}<task_id>"
