"""Which topics there are, and how each was made: a table.

Every process follows it, so that a producer knows a topic's capacity and readers, a consumer hears
of new topics at once, and both of a deletion before it happens.
"""

import threading
from typing import Literal
from uuid import uuid4

import msgspec

from contanos.bus.contract import TopicPartition, TopicSpec
from contanos.bus.kafka.table import KafkaTable
from contanos.errors import UnknownTopic

CATALOGUE = "bus-topics"  # the table's name

Phase = Literal["making", "there", "going"]


class Entry(msgspec.Struct, frozen=True):
    """One topic.

    Attributes:
        phase: an entry is written before the topic is made, and removed after it is deleted, so
            that a crash in between leaves nothing that nobody knows of.
        incarnation: tells it from an earlier topic of the same name.
        spec: how it is made.
    """

    phase: Phase
    incarnation: str
    spec: TopicSpec


class Catalogue:
    """The table, decoded.

    Attributes:
        version: counts changes.
    """

    def __init__(self, table: KafkaTable) -> None:
        self.version = 0
        self._table = table
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        table.follow(self._told)

    def live(self, name: str) -> Entry | None:
        """A topic that can be read and written, as this process knows."""
        entry = self._entries.get(name)
        return entry if entry and entry.phase == "there" else None

    def find(self, source: TopicPartition) -> Entry:
        """A topic that can be read and written; asks the brokers where it is not known.

        Raises:
            UnknownTopic: there is none, or it has no such partition.
        """
        entry = self.live(source.topic)
        if not entry:
            self._table.catch_up()
            entry = self.live(source.topic)
        if not entry or not 0 <= source.partition < entry.spec.partitions:
            raise UnknownTopic(
                f"no topic {source.topic}, partition {source.partition}: "
                "it was deleted, or its task never started"
            )
        return entry

    def latest(self, name: str) -> Entry | None:
        """What was last written of a topic, by anybody."""
        self._table.catch_up()
        return self._entries.get(name)

    def all(self) -> dict[str, Entry]:
        """Every topic, in whatever phase, as this process knows."""
        with self._lock:
            return dict(self._entries)

    def names(self) -> list[str]:
        """Every topic, as of now; also one whose maker or deleter died over it."""
        self._table.catch_up()
        return sorted(self.all())

    def write(self, name: str, phase: Phase, spec: TopicSpec, incarnation: str = "") -> Entry:
        """Set a topic's entry."""
        entry = Entry(phase, incarnation or uuid4().hex[:8], spec)
        self._table.put(name, msgspec.json.encode(entry))
        return entry

    def remove(self, name: str) -> None:
        """Forget a topic."""
        self._table.remove(name)

    def _told(self, name: str, value: bytes | None) -> None:
        with self._lock:
            if value is None:
                self._entries.pop(name, None)
            else:
                self._entries[name] = msgspec.json.decode(value, type=Entry)
            self.version += 1
