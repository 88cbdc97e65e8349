"""The ledger: which records are done with, so that it is known how far to commit."""

from contanos.bus.contract import Record, TopicPartition


class Ledger:
    """Counts the frames of each record that are still in work.

    Frames may be finished in another order than their records arrived in; what may be committed is
    the offset before which everything is done.
    """

    def __init__(self) -> None:
        self._open: dict[TopicPartition, dict[int, int]] = {}
        self._next: dict[TopicPartition, int] = {}

    def take(self, record: Record, frames: int) -> None:
        """A record came, of which `frames` are to be worked on; records come in order."""
        if frames:
            self._open.setdefault(record.source, {})[record.offset] = frames
        self._next[record.source] = record.offset + 1

    def done(self, source: TopicPartition, offset: int) -> None:
        """One frame of the record at `offset` is done."""
        left = self._open[source]
        left[offset] -= 1
        if not left[offset]:
            del left[offset]

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """What may be committed: the next offset to read of each partition."""
        return {
            source: next(iter(self._open.get(source) or ()), end)
            for source, end in self._next.items()
        }
