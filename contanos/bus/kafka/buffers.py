"""Records that have arrived and were not handed out yet."""

from collections import deque

from contanos.bus.contract import TopicPartition
from contanos.bus.kafka.values import Received


class Buffers:
    """One queue for each partition; they take turns.

    Attributes:
        size: bytes that are held.
    """

    def __init__(self) -> None:
        self.size = 0
        self._queues: dict[TopicPartition, deque[Received]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._turn = 0

    def open(self, source: TopicPartition) -> None:
        """Records of `source` are welcome."""
        self._queues[source] = deque()
        self._next[source] = 0

    def close(self, source: TopicPartition) -> None:
        """Drop what is held of `source`, and what may still come."""
        self.size -= sum(map(len, self._queues.pop(source, ())))
        self._next.pop(source, None)

    def add(self, source: TopicPartition, message: Received) -> None:
        """Keep a record, unless nobody waits for it or it was here before.

        After a pause the client may fetch again what it had.
        """
        offset = message.offset() or 0
        if source in self._queues and offset >= self._next[source]:
            self._queues[source].append(message)
            self._next[source] = offset + 1
            self.size += len(message)

    def take(self, limit: int) -> list[tuple[TopicPartition, Received]]:
        """At most `limit` records, of every partition in turn; the next call begins one further."""
        filled = [source for source, queue in self._queues.items() if queue]
        self._turn += 1
        taken: list[tuple[TopicPartition, Received]] = []
        for i in range(len(filled)):
            share = max(1, (limit - len(taken)) // (len(filled) - i))
            source = filled[(self._turn + i) % len(filled)]
            taken += self._pop(source, min(share, limit - len(taken)))
        return taken

    def _pop(self, source: TopicPartition, count: int) -> list[tuple[TopicPartition, Received]]:
        queue = self._queues[source]
        popped = [queue.popleft() for _ in range(min(count, len(queue)))]
        self.size -= sum(map(len, popped))
        return [(source, message) for message in popped]
