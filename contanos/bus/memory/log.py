"""One partition of a topic, in memory."""

from collections import deque

from contanos.bus.contract import Record, TopicSpec


class Log:
    """The records that some reader has yet to commit.

    Attributes:
        spec: of its topic.
        first: offset of the oldest record that is held.
        records: those held, oldest first.
        last: the newest record, held or not.
    """

    def __init__(self, spec: TopicSpec) -> None:
        self.spec = spec
        self.first = 0
        self.records: deque[Record] = deque()
        self.last: Record | None = None

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self.first + len(self.records)

    @property
    def full(self) -> bool:
        """Whether a producer must wait."""
        return bool(self.spec.readers) and len(self.records) >= self.spec.capacity

    def append(self, record: Record) -> None:
        """Add a record at the end."""
        self.records.append(record)
        self.last = record

    def read(self, offset: int, count: int) -> list[Record]:
        """At most `count` records from `offset` on."""
        start = offset - self.first
        return [self.records[i] for i in range(start, min(start + count, len(self.records)))]

    def trim(self, offset: int) -> None:
        """Let go of what lies before `offset`."""
        while self.records and self.first < offset:
            self.records.popleft()
            self.first += 1
