"""Holds a producer back from a full topic, and lets go of what all readers are done with.

A producer counts what it sends, and asks the brokers only when that could fill the partition since
it last knew how far its readers were: where somebody bounds the frames in flight below a topic's
capacity, that is one question in so many records. Several producers of one partition count each
for itself, so that many times the capacity may lie there.
"""

import time
from collections.abc import Callable

from contanos.bus.contract import TopicPartition
from contanos.bus.kafka.catalogue import Catalogue, Entry
from contanos.bus.kafka.cluster import Cluster
from contanos.bus.kafka.progress import Progress
from contanos.errors import TopicFull

_SLICE = 0.5  # seconds in which a deleted topic is noticed

End = Callable[[TopicPartition], int]


class Room:
    """What one producer may still send to each partition.

    Args:
        catalogue: how topics are made.
        progress: how far their readers are.
        cluster: lets go of records.
        end: the offset after the last record sent, acknowledged or not.
        patience: seconds that a full topic is waited for.
    """

    def __init__(
        self, catalogue: Catalogue, progress: Progress, cluster: Cluster, end: End, patience: float
    ) -> None:
        self._catalogue = catalogue
        self._progress = progress
        self._cluster = cluster
        self._end = end
        self._patience = patience
        self._left: dict[TopicPartition, tuple[str, int]] = {}
        self._trimmed: dict[TopicPartition, int] = {}

    def take(self, source: TopicPartition, entry: Entry) -> None:
        """Room for one record; waits for it.

        Raises:
            TopicFull: there was none in time.
            UnknownTopic: the topic was deleted meanwhile.
        """
        incarnation, left = self._left.get(source, ("", 0))
        if left <= 0 or incarnation != entry.incarnation:
            self._prune()
            left = self._wait(source, entry)
        self._left[source] = entry.incarnation, left - 1

    def _wait(self, source: TopicPartition, entry: Entry) -> int:
        deadline = time.monotonic() + self._patience
        while True:
            end = self._end(source)
            wanted = end + 1 - entry.spec.capacity
            pause = min(_SLICE, max(0.0, deadline - time.monotonic()))
            if self._progress.wait(entry.spec.readers, source, wanted, pause):
                lowest = self._progress.lowest(entry.spec.readers, source)
                self._trim(source, min(lowest, end - 1))
                return lowest + entry.spec.capacity - end
            if time.monotonic() >= deadline:
                raise TopicFull(
                    f"{source.topic}: {entry.spec.capacity} records wait and no consumer made "
                    f"room in {self._patience:g} s; is every stage running?"
                )
            entry = self._catalogue.find(source)

    def _trim(self, source: TopicPartition, offset: int) -> None:
        """Let go of what lies before `offset`; the newest record always stays."""
        if offset > self._trimmed.get(source, 0):
            self._trimmed[source] = offset
            self._cluster.trim(source, offset)

    def _prune(self) -> None:
        """Forget topics that are gone."""
        for source in [each for each in self._left if not self._catalogue.live(each.topic)]:
            del self._left[source]
            self._trimmed.pop(source, None)
