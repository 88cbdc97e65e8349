"""A member of a consumer group, on Kafka."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog
from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as Spot

from contanos.bus.contract import Position, Record, TopicPartition
from contanos.bus.kafka.catalogue import Catalogue, Entry
from contanos.bus.kafka.commit import commit
from contanos.bus.kafka.faults import Endurance, described, lasting
from contanos.bus.kafka.journal import Journal
from contanos.bus.kafka.member import Member
from contanos.bus.kafka.names import Names
from contanos.bus.kafka.states import States
from contanos.bus.kafka.values import Received, received
from contanos.errors import BusError, NotAssigned

log = structlog.get_logger(__name__)

_SLICE = 0.02  # seconds in which a waiting poll notices `wakeup`: the library has none
_IDLE_SLICE = 0.1  # likewise, where for a while
_IDLE = 1.0  # seconds there were no records, nor a `wakeup`
_BATCH = 500  # records taken from the library at once
_FULL = 64 << 20  # bytes that are held ahead of the stage

Note = Callable[[str, TopicPartition, str, int], None]


class KafkaConsumer:
    """The contract's `Consumer`.

    Args:
        member: what it reads.
        note: told of each commit, as `Progress.note`.
        journal: counts what is received.
    """

    def __init__(
        self,
        group: str,
        names: Names,
        catalogue: Catalogue,
        member: Member,
        states: States,
        endurance: Endurance,
        note: Note,
        journal: Journal,
    ) -> None:
        self._journal = journal
        self._group = group
        self._names = names
        self._catalogue = catalogue
        self._member = member
        self._states = states
        self._endurance = endurance
        self._note = note
        self._woken = threading.Event()
        self._using = threading.Lock()  # the client may not be closed while it is used
        self._closed = False
        self._lively_until = 0.0

    def poll(self, limit: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        pause = 0.0
        while True:
            with self._using:
                if self._closed:
                    return []
                self._receive(pause)
                records = self._take(limit)
            left = deadline - time.monotonic()
            if records or self._woken.is_set() or self._endurance.closed.is_set() or left <= 0:
                self._note_life(bool(records) or self._woken.is_set())
                return records
            idle = time.monotonic() > self._lively_until
            pause = min(left, _IDLE_SLICE if idle else _SLICE)

    def commit(self, positions: Mapping[TopicPartition, Position]) -> None:
        if not positions:
            return
        with self._using:
            try:
                entries = self._owned(positions)
                self._commit(positions, entries)
            except BaseException as e:
                for source in positions:
                    self._states.doubt(source)
                if isinstance(e, NotAssigned):
                    self._member.doubt(positions)
                raise
        for source, position in positions.items():
            self._note(self._group, source, entries[source].incarnation, position.offset)

    def wakeup(self) -> None:
        self._woken.set()

    def close(self) -> None:
        with self._using:
            if not self._closed:
                self._closed = self._member.leaving = True
                self._member.client.close()

    @property
    def closed(self) -> bool:
        """Whether it has left the group."""
        return self._closed

    def _note_life(self, lively: bool) -> None:
        self._woken.clear()
        if lively:
            self._lively_until = time.monotonic() + _IDLE

    def _receive(self, pause: float) -> None:
        """Serve the group, and keep what has arrived, waiting for it up to `pause` seconds."""
        self._member.align()
        buffers, client = self._member.buffers, self._member.client
        self._member.pause(buffers.size > _FULL)
        first = client.poll(pause)
        if first is None:
            return
        self._keep(first)
        while buffers.size <= _FULL and (batch := client.consume(_BATCH, 0)):
            for message in batch:
                self._keep(message)

    def _keep(self, message: Received) -> None:
        if error := message.error():
            self._heed(error)
            return
        source = TopicPartition(self._names.local(message.topic() or ""), message.partition() or 0)
        self._member.buffers.add(source, message)
        self._journal.count("bytes_received", len(message.value() or b""))

    def _heed(self, error: KafkaError) -> None:
        """Most errors pass, or tell of a topic that was deleted."""
        if lasting(error):
            raise BusError(described(f"read as a member of {self._group}", error))
        log.debug("consumer goes on", group=self._group, error=error.name(), cause=error.str())

    def _take(self, limit: int) -> list[Record]:
        held = self._member.assignment.held
        return [
            received(message, source.topic, held[source])
            for source, message in self._member.buffers.take(limit)
        ]

    def _owned(self, positions: Mapping[TopicPartition, Position]) -> dict[TopicPartition, Entry]:
        """How the topics were made, if they are ours.

        The brokers know members, not owners: one that lost its partitions and came back may commit
        anything. So it counts what we hold, and whether we are still who got it.
        """
        held = self._member.assignment.held
        entries: dict[TopicPartition, Entry] = {}
        for source, position in positions.items():
            entry = self._catalogue.live(source.topic)
            if self._closed or not entry or held.get(source) != entry.incarnation:
                raise NotAssigned(f"{source.topic}, partition {source.partition}: not ours now")
            self._states.check(source, position, entry)
            entries[source] = entry
        if not self._member.current:
            raise NotAssigned(f"group {self._group} went on without us: another member has ours")
        return entries

    def _commit(
        self, positions: Mapping[TopicPartition, Position], entries: dict[TopicPartition, Entry]
    ) -> None:
        """States first, each acknowledged; then the one step that makes all of it count."""
        marks = {
            source: self._states.mark(source, position, entries[source])
            for source, position in positions.items()
        }
        offsets = [
            Spot(
                self._names.topic(source.topic),
                source.partition,
                positions[source].offset,
                metadata=mark.text(),
            )
            for source, mark in marks.items()
        ]
        commit(self._member.client, offsets, self._endurance)
        for source, mark in marks.items():
            self._states.committed(source, mark)
