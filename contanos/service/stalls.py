"""How late an event loop gets to what is due: what holds it up holds up every request."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Histogram

_EVERY = 0.02  # seconds between two looks
_STALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5)  # seconds

METRIC = "contanos_loop_stall_seconds"


class Stalls:
    """Counts how late a loop is, fifty times a second.

    Args:
        registry: where the metric is kept.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            METRIC,
            "How much later than due the event loop that answers requests came to a timer.",
            registry=registry,
            buckets=_STALLS,
        )

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The running loop is watched as long as the block runs."""
        watching = asyncio.create_task(self._watch(), name="stalls")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + _EVERY
            await asyncio.sleep(_EVERY)
            self._late.observe(max(0.0, time.perf_counter() - due))
