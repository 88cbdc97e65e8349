"""What a bus is: named topics of ordered records, read by consumer groups.

The words mean what they mean in Kafka, on every implementation:

- A *topic* has one or more *partitions*; within one, records keep their order and each has an
  *offset*, counted from 0.
- A *consumer group* reads a topic together: each partition belongs to one member at a time. A
  group *commits* the position that it will read next, and beside the offset what it needs to go on
  from there; whoever owns the partition later starts there, so what was not committed is delivered
  again.
- A group that reads several topics of a task is assigned by the *leading* one, the last of its
  prefixes; the task's other topics follow to the same member, so that they can be joined.
- A producer's record counts only once `flush` returns: it is then acknowledged.
- A topic that names its readers is bounded: a record makes room once every reader has committed
  past it.
- A *table* keeps the newest value of each key, and shows it to everybody on the bus.
- A *reader* looks on from outside of every group: nothing is held for it, and nobody waits for it.

`tests/contract/bus_contract.py` holds every implementation to this text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Prefixes = Sequence[str]
Told = Callable[[str, bytes | None], None]
"""A key and its new value; None where it was removed."""


Wants = Callable[[str], bool]
"""Whether a group cares about a task, by its id."""


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
        readers: the groups for which records are held; what none of them needs is let go. A topic
            without readers holds everything until it is deleted, or its retention ends.
        states: whether a group that reads it commits states beside its offsets.
    """

    partitions: int = 1
    capacity: int = 256
    readers: tuple[str, ...] = ()
    states: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a group goes on in one partition, and what it needs to know there.

    Attributes:
        offset: the next one to read.
        note: a few hundred characters of ASCII that `Bus.committed` shows to everybody, cheaply.
        state: what the group's next owner restores; at most 8 MiB; None leaves the last one.
    """

    offset: int
    note: str = ""
    state: bytes | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a consumer receives it.

    Attributes:
        key: the number of the frame, or of the first of several.
        value: a message, a frame or a group of frames; never bytes.
        timestamp: when it was sent, in seconds since the epoch.
    """

    topic: str
    partition: int
    offset: int
    key: int
    value: object
    timestamp: float

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
        """Return once everything sent is acknowledged.

        After an error the producer can be used again.

        Raises:
            UnknownTopic: a topic was deleted after `send`; all that was sent to others is
                acknowledged.
            BusError: some of it was not; which, is not known.
        """


class Consumer(Protocol):
    """One member of a group. One thread at a time, except `wakeup`."""

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """At most `limit` records, waiting at most `timeout` seconds for the first.

        New topics that match the subscription are found by themselves, within a second. Partitions
        take turns, so that no topic starves another.
        """

    def commit(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Record, durably, where each partition is read on; offset, note and state together.

        Raises:
            NotAssigned: this consumer no longer owns one of them; none was committed. What it had
                read beyond the last commit comes again: to it, where they turn out to be its own.
            SettingError: a state on a topic that was made without `states`.
        """

    def wakeup(self) -> None:
        """Make a waiting `poll` return at once. Safe from any thread."""

    def close(self) -> None:
        """Leave the group; partitions pass to the other members."""


class Reader(Protocol):
    """Reads one partition and commits nothing. One thread at a time, except `close`."""

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """At most `limit` records, waiting at most `timeout` seconds for the first.

        Where the next one was let go meanwhile, it goes on with the oldest that is still held.

        Raises:
            UnknownTopic: the topic was deleted, though one of that name may be there again.
            BusError: the bus was closed, or the brokers let nobody read.
        """

    def close(self) -> None:
        """Release everything; `poll` then gives nothing."""


class Table(Protocol):
    """The newest value of each key, the same for everybody on the bus. Safe from any thread."""

    def put(self, key: str, value: bytes) -> None:
        """Set `key`; once this returns it is durable, and `get` here gives it."""

    def remove(self, key: str) -> None:
        """Forget `key`; unknown ones are ignored."""

    def get(self, key: str) -> bytes | None:
        """The value of `key` as this process knows it, within a second of the truth, or None."""

    def items(self) -> dict[str, bytes]:
        """All keys and values, as `get` gives them."""

    def follow(self, told: Told) -> None:
        """Call `told` for every key there is, before this returns, and then for every change.

        Calls come in order, from a thread of the bus; they must be short and may not raise.
        """


class Bus(Protocol):
    """Topics, and the producers and consumers on them. Safe from any thread.

    Attributes:
        commit_interval: seconds between two commits of a reader that a commit's cost suggests.
        by_reference: whether a value arrives as the very object that was sent.
    """

    commit_interval: float
    by_reference: bool

    def create_topic(self, name: str, spec: TopicSpec) -> None:
        """Make a topic; a second call with the same spec changes nothing.

        Raises:
            TopicExists: it exists with another spec.
        """

    def delete_topic(self, name: str) -> None:
        """Remove a topic, its records and every group's positions. Unknown names are ignored."""

    def topics(self) -> list[str]:
        """Names of all topics, sorted."""

    def producer(self) -> Producer:
        """A new producer."""

    def consumer(
        self,
        group: str,
        prefixes: Prefixes,
        rebalance: Rebalance | None,
        wants: Wants | None = None,
    ) -> Consumer:
        """A new member of `group`, reading every topic whose name starts with a prefix.

        Records of tasks that `wants` says no to, when they are assigned, need not come.

        The last prefix leads: partitions of these topics are shared out among the members. Of a
        topic of the same task with another prefix, partition p goes where partition p modulo n of
        the leading topic goes, which has n partitions.
        """

    def reader(self, source: TopicPartition, offset: int) -> Reader:
        """A new reader of one partition, from `offset` on, outside of every group.

        Raises:
            UnknownTopic: no such topic.
        """

    def committed(self, group: str, source: TopicPartition) -> Position:
        """Where `group` goes on, with its note but without its state; 0 where it never was."""

    def positions(self, group: str) -> dict[TopicPartition, Position]:
        """Where `group` goes on in all that it ever committed, without states: one question."""

    def load_state(self, group: str, source: TopicPartition) -> bytes | None:
        """The state that `group` committed last in `source`, or None."""

    def end_offset(self, source: TopicPartition) -> int:
        """The offset that the next record will have.

        Raises:
            UnknownTopic: no such topic.
        """

    def last_record(self, source: TopicPartition) -> Record | None:
        """The newest record, whether or not somebody still needs it; None in an empty partition.

        Raises:
            UnknownTopic: no such topic.
        """

    def wait_committed(
        self, groups: Iterable[str], source: TopicPartition, offset: int, timeout: float
    ) -> bool:
        """Wait until every group has committed `offset` or beyond; False if time ran out."""

    def table(self, name: str) -> Table:
        """The table of that name, which is made if there is none."""

    def ready(self) -> None:
        """Return if the bus can be reached.

        Raises:
            BusError: it cannot; says why.
        """

    def close(self) -> None:
        """Release everything; consumers waiting in `poll` return."""
