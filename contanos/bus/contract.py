"""What a bus is: named topics of ordered records, read by consumer groups.

The words mean what they mean in Kafka, on every implementation:

- A *topic* has one or more *partitions*; within one, records keep their order and each has an
  *offset*, counted from 0.
- A *consumer group* reads a topic together: each partition belongs to one member at a time. A
  group *commits* the offset it will read next; whoever owns the partition later starts there, so
  what was not committed is delivered again.
- A producer's record counts only once `flush` returns: it is then acknowledged.
- A topic is bounded. A record leaves when every subscribed group has committed past it, or when
  its retention ends.

`tests/contract/bus_contract.py` holds every implementation to this text.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Prefixes = Iterable[str]


class TopicPartition(NamedTuple):
    """One ordered log."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is made.

    Attributes:
        partitions: how many ordered logs it has.
        capacity: records that one partition may hold before `send` waits.
    """

    partitions: int = 1
    capacity: int = 256


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a consumer receives it. `value` is a message or a frame, never bytes."""

    topic: str
    partition: int
    offset: int
    key: int
    value: object

    @property
    def source(self) -> TopicPartition:
        """The log that it lies in."""
        return TopicPartition(self.topic, self.partition)


class Rebalance(Protocol):
    """Told, inside `poll`, which partitions come and go. Both may be empty functions."""

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """These are ours from now on; reading starts at the committed offset."""

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """These are no longer ours; what was not committed will reach somebody else."""


class Producer(Protocol):
    """Appends records. One thread at a time."""

    def send(self, topic: str, key: int, value: object, partition: int = 0) -> None:
        """Append `value`; waits while the partition is full.

        Raises:
            UnknownTopic: the topic does not exist or was deleted.
            TopicFull: no consumer made room within the bus's patience.
        """

    def flush(self) -> None:
        """Return once everything sent is acknowledged."""


class Consumer(Protocol):
    """One member of a group. One thread at a time, except `wakeup`."""

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """At most `limit` records, waiting at most `timeout` seconds for the first.

        New topics that match the subscription are found by themselves. Partitions take turns, so
        that no topic starves another.
        """

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record, durably, the next offset to read of each partition.

        Raises:
            NotAssigned: this consumer no longer owns one of them; none was committed.
        """

    def wakeup(self) -> None:
        """Make a waiting `poll` return at once. Safe from any thread."""

    def close(self) -> None:
        """Leave the group; partitions pass to the other members."""


class Bus(Protocol):
    """Topics, and the producers and consumers on them. Safe from any thread."""

    def create_topic(self, name: str, spec: TopicSpec) -> None:
        """Make a topic; a second call with the same spec changes nothing.

        Raises:
            TopicExists: it exists with another spec.
        """

    def delete_topic(self, name: str) -> None:
        """Remove a topic, its records and every group's offsets. Unknown names are ignored."""

    def topics(self) -> list[str]:
        """Names of all topics, sorted."""

    def producer(self) -> Producer:
        """A new producer."""

    def consumer(self, group: str, prefixes: Prefixes, rebalance: Rebalance | None) -> Consumer:
        """A new member of `group`, reading every topic whose name starts with a prefix."""

    def committed(self, group: str, source: TopicPartition) -> int:
        """The next offset that `group` will read; 0 where it never committed."""

    def end_offset(self, source: TopicPartition) -> int:
        """The offset that the next record will have.

        Raises:
            UnknownTopic: no such topic.
        """

    def wait_committed(
        self, groups: Iterable[str], source: TopicPartition, offset: int, timeout: float
    ) -> bool:
        """Wait until every group has committed `offset` or beyond; False if time ran out."""

    def save_state(self, key: str, state: bytes) -> None:
        """Keep the newest `state` of `key`, durably as the bus is durable."""

    def load_state(self, key: str) -> bytes | None:
        """The newest state of `key`, or None."""

    def delete_state(self, key: str) -> None:
        """Forget `key`."""

    def close(self) -> None:
        """Release everything; consumers waiting in `poll` return."""


BusFactory = Callable[[], Bus]
