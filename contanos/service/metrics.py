"""What runners count, in Prometheus's form.

The names are a contract: dashboards and alerts use them.
Nothing is registered globally: each process, and each test, has a registry of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from contanos.bus.contract import Bus
from contanos.stage.meter import Meter

# Seconds, from one result over a fast bus to a task that waits for its part of the machine.
_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_UNITS = (1, 2, 4, 8, 16, 32, 64)


@runtime_checkable
class CountingBus(Protocol):
    """A bus that counts what it does."""

    def counters(self) -> Mapping[str, float]:
        """Totals since the start, by name, such as `bytes_sent`."""


def process_registry(bus: Bus) -> CollectorRegistry:
    """A registry with what is true of the process: memory, descriptors, CPU, and its bus."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    if isinstance(bus, CountingBus):
        registry.register(_BusCounters(bus))
    return registry


class PrometheusMeter(Meter):
    """Counts frames, batches, repeats and restarts by stage. Safe from any thread.

    Args:
        registry: where the metrics are kept.
        stages: whose counters are there, at 0, before anything happens: a rate then sees the
            first event.
    """

    def __init__(self, registry: CollectorRegistry, stages: Sequence[str] = ()) -> None:
        self._frames = Counter(
            "contanos_frames_total",
            "Frames that left a stage.",
            ["stage", "failed"],
            registry=registry,
        )
        self._seconds = Counter(
            "contanos_stage_seconds_total",
            "Seconds that a stage spent on frames, over all its threads.",
            ["stage"],
            registry=registry,
        )
        self._latency = Histogram(
            "contanos_latency_seconds",
            "From the sending of a frame's record to the frame leaving the stage; where the stage "
            "reads pixels, from the frame being read.",
            ["stage"],
            registry=registry,
            buckets=_LATENCIES,
        )
        self._units = Histogram(
            "contanos_batch_units",
            "Units of work in a batch.",
            ["stage"],
            registry=registry,
            buckets=_UNITS,
        )
        self._repeats = Counter(
            "contanos_repeats_total",
            "Frames that came again and were dropped.",
            ["stage"],
            registry=registry,
        )
        self._restarts = Counter(
            "contanos_restarts_total",
            "Runners that died and were replaced.",
            ["stage"],
            registry=registry,
        )
        for stage in stages:
            self._begin(stage)

    def frame(self, stage: str, failed: bool, seconds: float, latency: float) -> None:
        self._frames.labels(stage, _word(failed)).inc()
        self._seconds.labels(stage).inc(seconds)
        self._latency.labels(stage).observe(max(0.0, latency))  # clocks of two machines may differ

    def batch(self, stage: str, units: int) -> None:
        self._units.labels(stage).observe(units)

    def repeats(self, stage: str, count: int) -> None:
        self._repeats.labels(stage).inc(count)

    def restart(self, stage: str) -> None:
        self._restarts.labels(stage).inc()

    def _begin(self, stage: str) -> None:
        for failed in (False, True):
            self._frames.labels(stage, _word(failed))
        for metric in (self._seconds, self._latency, self._repeats, self._restarts):
            metric.labels(stage)


class _BusCounters(Collector):
    """What the bus has counted, under the names that it gives."""

    def __init__(self, bus: CountingBus) -> None:
        self._bus = bus

    def collect(self) -> Iterator[Metric]:
        for name, value in sorted(self._bus.counters().items()):
            said = name.replace("_", " ")
            yield CounterMetricFamily(
                f"contanos_bus_{name}", f"Of this process's bus: {said}.", value
            )


def _word(yes: bool) -> str:
    return "true" if yes else "false"
