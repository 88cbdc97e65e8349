"""A consumer group, in memory: who is in it, who owns what, and how far it has come."""

import zlib
from typing import Generic, TypeVar

from contanos.bus.contract import Position, Prefixes, TopicPartition
from contanos.bus.topics import task_of

Member = TypeVar("Member")


class Group(Generic[Member]):
    """One group.

    Attributes:
        prefixes: of the topics that it reads; the last one leads.
        members: in the order in which they joined.
        committed: where each partition is read on.
        states: what was committed with it, last.
    """

    def __init__(self) -> None:
        self.prefixes: Prefixes = ()
        self.members: list[Member] = []
        self.committed: dict[TopicPartition, Position] = {}
        self.states: dict[TopicPartition, bytes] = {}

    def reads(self, topic: str) -> bool:
        """Whether it is subscribed to `topic`."""
        return any(topic.startswith(prefix) for prefix in self.prefixes)

    def owner(self, source: TopicPartition, partitions: dict[str, int]) -> Member | None:
        """Who reads `source`; nobody while its leading topic is missing.

        Args:
            source: one that the group reads.
            partitions: how many every topic has.
        """
        task_id = task_of(source.topic)
        count = partitions.get(f"{self.prefixes[-1]}{task_id}", 0)
        if not count or not self.members:
            return None
        shard = zlib.crc32(task_id.encode()) + source.partition % count
        return self.members[shard % len(self.members)]

    def offset(self, source: TopicPartition) -> int:
        """The next offset to read in `source`."""
        position = self.committed.get(source)
        return position.offset if position else 0

    def commit(self, source: TopicPartition, position: Position) -> None:
        """Move to `position`."""
        self.committed[source] = Position(position.offset, position.note)
        if position.state is not None:
            self.states[source] = position.state

    def forget(self, source: TopicPartition) -> None:
        """The partition is gone."""
        self.committed.pop(source, None)
        self.states.pop(source, None)
