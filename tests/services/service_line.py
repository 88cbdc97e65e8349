"""Small stages as services: real runners on a real bus, for the tests of what surrounds them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from contanos.bus.memory import MemoryBus
from contanos.messages import EndOfStream, FrameResult
from contanos.service.answers import ServiceInfo, TaskRow
from contanos.service.board import Board
from contanos.service.metrics import PrometheusMeter, process_registry
from contanos.stage.batch_runner import BatchRunner
from contanos.stage.contract import Task
from contanos.stage.supervisor import Supervisor
from contanos.stage.task_runner import TaskRunner
from contanos.stage.tasks import Tasks
from contanos.testing.stages import (
    TEST_GRAPH,
    Collect,
    Double,
    Total,
    create_topics,
    publish,
    read_task,
    task_value,
)
from video_analysis.services.here import Web

NODES = {node.stage: node for node in TEST_GRAPH.nodes}
STAGES = tuple(NODES)


class CountingMemoryBus(MemoryBus):
    """Counts the questions about positions, and answers once it may."""

    asked = 0

    def __init__(self) -> None:
        super().__init__(patience=20)
        self.answers = threading.Event()
        self.answers.set()

    def positions(self, group: str) -> dict[object, object]:  # type: ignore[override]
        self.answers.wait(20)
        self.asked += 1
        return dict(super().positions(group))

    def counters(self) -> dict[str, float]:
        return {"bytes_sent": 12.0}


class Line:
    """What `video_analysis.services.here.Services` asks for, over the test graph.

    Args:
        fault: called with every frame's number; may raise, or wait.
        load: called by `start`, as models are loaded.
    """

    def __init__(
        self,
        fault: Callable[[int], None] = lambda _: None,
        load: Callable[[], None] = lambda: None,
    ) -> None:
        self.bus = CountingMemoryBus()
        self.tasks = Tasks(self.bus, read_task)
        self.registry = process_registry(self.bus)
        self.seen: list[FrameResult] = []
        self.ends: list[EndOfStream] = []
        self.cause: str | None = None
        self.webs: dict[str, Web] = {}
        self.checks: dict[str, Callable[[], str | None]] = {"model": lambda: None}
        self.now = time.monotonic
        self._load = load
        self._meter = PrometheusMeter(self.registry, STAGES)
        self._pool = ThreadPoolExecutor(2)
        self._supervisor: Supervisor | None = None
        self._double = Double(fault, batch_size=4)
        self.boards = {stage: self._board(stage) for stage in STAGES}
        self.infos = {
            stage: ServiceInfo(
                name=stage,
                summary=f"Does what {stage} does.",
                reads=(f"before_{stage}_<task_id>",),
                writes=(f"{stage}_<task_id>",),
            )
            for stage in STAGES
        }

    def start(self) -> None:
        self._load()
        bus, tasks, meter = self.bus, self.tasks, self._meter
        factories = [
            lambda: BatchRunner(
                bus, NODES["double"], tasks, self._double, self._pool, width=2, meter=meter
            ),
            lambda: TaskRunner(bus, NODES["total"], tasks, lambda _: Total(), meter),
            lambda: TaskRunner(
                bus, NODES["collect"], tasks, lambda _: Collect(self.seen, self.ends), meter
            ),
        ]
        self._supervisor = Supervisor(factories, tasks, meter)
        self._supervisor.start()

    def stop(self) -> None:
        if self._supervisor:
            assert self._supervisor.stop(10)
        self._pool.shutdown()
        self.bus.close()

    def dead(self) -> str | None:
        return self.cause

    def add(self, task_id: str, partitions: int = 1) -> Task:
        task = Task(task_id, 16, 16, 30.0, partitions)
        self.tasks.add(task_id, task_value(task))
        create_topics(self.bus, TEST_GRAPH, task)
        return task

    def feed(self, task_id: str, frames: int, partitions: int = 1) -> None:
        publish(self.bus, self.add(task_id, partitions), frames).join(20)

    def row(self, stage: str, task_id: str) -> TaskRow:
        """What the board says now, not what it said lately."""
        return self._board(stage).rows()[task_id]

    def finish(self, task_id: str, timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while self.row("collect", task_id).state in ("waiting", "running"):
            assert time.monotonic() < deadline, self.row("collect", task_id)
            time.sleep(0.01)

    def _board(self, stage: str) -> Board:
        checks = {name: lambda name=name: self.checks[name]() for name in self.checks}
        return Board(self.bus, self.tasks, stage, lambda _: TEST_GRAPH, checks, lambda: self.now())
