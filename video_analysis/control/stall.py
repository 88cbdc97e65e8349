"""Finds the stage that a task waits for."""

import time

from contanos.stage.graph import Graph
from contanos.stage.progress import Progress
from video_analysis.control.ingest import STAGE as INGEST


class Stall:
    """Watches one task.

    Args:
        patience: seconds without any progress that are a stall.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._seen: object = None
        self._since = time.monotonic()

    def look(
        self, graph: Graph, progress: Progress, published: int | None, read: int
    ) -> str | None:
        """The stage that stalls; None while things move.

        Args:
            graph: of the task.
            progress: of its stages.
            published: frames that ingest has sent in all; None while it still reads.
            read: frames that it has read; on the way to a late first frame nothing else moves.
        """
        seen = (published, read, [(each.done, each.end) for each in progress.values()])
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        if time.monotonic() - self._since < self._patience:
            return None
        return self._first_behind(graph, progress, published)

    @staticmethod
    def _first_behind(graph: Graph, progress: Progress, published: int | None) -> str:
        """The first stage that has not done what the one before it has."""
        for node in graph.nodes:
            here = progress[node.stage]
            before = progress[node.results] if node.results else None
            if before is None and published is not None and here.end is None:
                return node.stage
            if before and (before.done > here.done or (before.end and not here.end)):
                return node.stage
        return INGEST
