"""What one stage has done and has still to do, read from what its group has committed."""

import time
from collections.abc import Callable, Mapping, Sequence

from contanos.bus.contract import Bus, Position, TopicPartition
from contanos.errors import ContanosError, UnknownTopic
from contanos.messages import Reason
from contanos.service.answers import TaskRow, TaskState
from contanos.service.pace import Pace
from contanos.service.recent import Recent
from contanos.stage.contract import Task
from contanos.stage.graph import Graph, Node
from contanos.stage.lane import LaneKey, leading
from contanos.stage.progress import progress_of
from contanos.stage.tasks import Tasks

Check = Callable[[], str | None]
"""None, or why something is not as it should be. Quick: it may not ask the bus."""

Committed = Mapping[TopicPartition, Position]

_SERVES = 1.0  # seconds that an answer of the bus serves everybody
_ENDS: dict[Reason, TaskState] = {
    "completed": "ended",
    "cancelled": "cancelled",
    "failed": "failed",
}


class Board:
    """The tasks of one stage. Safe from any thread.

    However many ask, the bus is asked at most once a second. The numbers are of the whole group:
    every worker of the stage shows the same.

    Args:
        bus: whom to ask.
        tasks: all there are.
        stage: whose board it is; tasks whose graph lacks it are not shown.
        graph_of: the graph of a task.
        checks: by name, what has to be before the service is ready.
        clock: seconds that never run backwards.
        beside: the boards of further stages that the same service carries.
    """

    def __init__(
        self,
        bus: Bus,
        tasks: Tasks,
        stage: str,
        graph_of: Callable[[Task], Graph],
        checks: Mapping[str, Check] | None = None,
        clock: Callable[[], float] = time.monotonic,
        beside: Sequence["Board"] = (),
    ) -> None:
        self.stage = stage
        self.all = (self, *beside)
        self._bus = bus
        self._tasks = tasks
        self._graph_of = graph_of
        self._checks = checks or {}
        self._clock = clock
        self._pace = Pace()
        self._rows = Recent(self._look, _SERVES, clock)
        self._reached = Recent(bus.ready, _SERVES, clock)

    def rows(self) -> dict[str, TaskRow]:
        """All tasks of the stage, by id.

        Raises:
            BusError: the bus cannot say.
        """
        return self._rows.get()

    def reasons_not_ready(self) -> list[str]:
        """Why the service cannot work now, one sentence each; empty where it can."""
        found = [f"{name}: {why}" for name, check in self._checks.items() if (why := check())]
        try:
            self._reached.get()
        except ContanosError as e:
            found.append(f"bus: {e}")
        return found

    def _look(self) -> dict[str, TaskRow]:
        groups: dict[str, Committed] = {}
        rows = {}
        for task in sorted(self._tasks.known(), key=lambda task: task.task_id):
            graph = self._graph_of(task)
            node = next((node for node in graph.nodes if node.stage == self.stage), None)
            if node is None:
                continue
            if node.group not in groups:
                groups[node.group] = self._bus.positions(node.group)
            rows[task.task_id] = self._row(graph, node, task, groups[node.group])
        self._pace.keep(rows)
        return rows

    def _row(self, graph: Graph, node: Node, task: Task, committed: Committed) -> TaskRow:
        ours = {each.group: committed if each is node else {} for each in graph.nodes}
        progress = progress_of(ours, graph, task)[node.stage]
        offsets = _offsets(graph, node, task, committed)
        offset = sum(offsets.values())
        failure = self._tasks.failure(task.task_id)
        begun: TaskState = "running" if offset or progress.done else "waiting"
        state = "failed" if failure else _ENDS[progress.end] if progress.end else begun
        return TaskRow(
            task_id=task.task_id,
            stage=self.stage,
            state=state,
            offset=offset,
            lag=self._lag(offsets) if state == begun else 0,
            frames=progress.done,
            failed=progress.failed,
            fps=self._pace.note(task.task_id, progress.done, self._clock()),
            error=str(failure) if failure else None,
        )

    def _lag(self, offsets: Mapping[TopicPartition, int]) -> int:
        """Records beyond the offsets; a topic that is not yet, or no longer, there has none."""
        waiting = 0
        for source, offset in offsets.items():
            try:
                waiting += max(0, self._bus.end_offset(source) - offset)
            except UnknownTopic:
                continue
        return waiting


def _offsets(
    graph: Graph, node: Node, task: Task, committed: Committed
) -> dict[TopicPartition, int]:
    """Where the stage goes on in each partition that leads it."""
    count = graph.partitions(node.results, task.partitions)
    sources = [leading(node, LaneKey(task.task_id, i)) for i in range(count)]
    return {each: committed[each].offset if each in committed else 0 for each in sources}
