"""What one service shows at `/metrics`: its share of the process's counts, and its board."""

from collections import Counter
from collections.abc import Collection, Iterator

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contanos.errors import ContanosError
from contanos.service.answers import STATES
from contanos.service.board import Board

log = structlog.get_logger(__name__)


def service_registry(
    process: CollectorRegistry, stages: Collection[str], board: Board
) -> CollectorRegistry:
    """The metrics of one service of a process that may have several.

    Args:
        process: what the whole process counts.
        stages: those of the service; what is counted of others is left to the others, so that a
            sum over all services counts nothing twice.
        board: of the service.
    """
    registry = CollectorRegistry()
    registry.register(_OfStages(process, stages))
    registry.register(_BoardGauges(board))
    return registry


class _OfStages(Collector):
    """A registry without the samples of other stages."""

    def __init__(self, registry: CollectorRegistry, stages: Collection[str]) -> None:
        self._registry = registry
        self._stages = frozenset(stages)

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            ours = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            ours.samples = [
                sample
                for sample in metric.samples
                if sample.labels.get("stage") is None or sample.labels["stage"] in self._stages
                if not sample.name.endswith("_created")  # when a counter began: nobody asks
            ]
            yield ours


class _BoardGauges(Collector):
    """A board's numbers, computed when somebody looks."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        try:
            rows = {each.stage: each.rows() for each in self._board.all}
        except ContanosError as e:  # the counts are still worth showing; an old lag is not
            log.warning("no lag for the metrics", stage=self._board.stage, cause=str(e))
            return
        lag = _gauge("contanos_lag_records", "Records that wait for a stage.")
        frames = _gauge("contanos_task_frames", "Frames of a task that left a stage.")
        fps = _gauge("contanos_task_fps", "Frames of a task a second, over ten seconds.")
        for row in (row for each in rows.values() for row in each.values()):
            labels = [row.stage, row.task_id]
            lag.add_metric(labels, row.lag)
            frames.add_metric(labels, row.frames)
            if row.fps is not None:
                fps.add_metric(labels, row.fps)
        tasks = GaugeMetricFamily("contanos_tasks", "Tasks known to a service.", labels=["state"])
        counts = Counter(row.state for row in rows[self._board.stage].values())
        for state in STATES:
            tasks.add_metric([state], counts[state])
        yield from (lag, frames, fps, tasks)


def _gauge(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=["stage", "task_id"])
