"""The bus on Apache Kafka.

| part | what it does |
|---|---|
| `catalogue` | the topics there are, with their specs, in a table that every process follows |
| `member`, `consumer` | membership in a group, fairness, commits |
| `reader` | reading outside of every group |
| `mark`, `states` | what lies beside an offset |
| `producer`, `room` | sending, and waiting for room |
| `progress` | waiting for groups |
| `table`, `tables` | the newest value of each key |
| `cluster`, `reads`, `append` | administration, single reads, single writes |
| `config`, `faults`, `journal` | the client library's settings, errors and log lines |
"""

import threading
import weakref
from collections.abc import Iterable

from confluent_kafka import KafkaException

from contanos.bus.contract import (
    Position,
    Prefixes,
    Rebalance,
    Record,
    TopicPartition,
    TopicSpec,
    Wants,
)
from contanos.bus.kafka.catalogue import CATALOGUE, Catalogue
from contanos.bus.kafka.cluster import Cluster
from contanos.bus.kafka.config import LATEST, RECORDS, Configs
from contanos.bus.kafka.consumer import KafkaConsumer
from contanos.bus.kafka.faults import Endurance, described, error_of
from contanos.bus.kafka.mark import Mark
from contanos.bus.kafka.member import Member
from contanos.bus.kafka.names import Names
from contanos.bus.kafka.offsets import Offsets
from contanos.bus.kafka.producer import KafkaProducer
from contanos.bus.kafka.progress import Progress
from contanos.bus.kafka.reader import KafkaReader
from contanos.bus.kafka.reads import Reads
from contanos.bus.kafka.settings import KafkaSettings
from contanos.bus.kafka.states import States
from contanos.bus.kafka.table import KafkaTable
from contanos.bus.kafka.tables import Tables
from contanos.bus.kafka.values import received
from contanos.errors import BusError, SettingError, TopicExists


class KafkaBus:
    """The contract's `Bus`.

    Nothing is asked of the brokers before it is needed, so that a process may start before them.

    Args:
        address: host:port of one or more brokers, with commas.
        namespace: starts every name on the brokers; callers never see it.
        settings: see there.

    Raises:
        SettingError: the client library cannot use one of the settings.
    """

    commit_interval = 0.25
    by_reference = False

    def __init__(
        self, address: str, namespace: str = "", settings: KafkaSettings | None = None
    ) -> None:
        self._names = Names(namespace)
        self._settings = settings or KafkaSettings()
        self._configs = Configs(address, self._settings)
        journal = self._configs.journal
        self._endurance = Endurance(self._settings.endurance, lambda: journal.count("retries"))
        try:
            self._cluster = Cluster(self._configs, self._names, self._endurance)
        except KafkaException as e:
            raise SettingError(described("set up the Kafka bus", error_of(e))) from e
        self._offsets = Offsets(self._configs, self._names, self._endurance)
        self._reads = Reads(self._configs, self._endurance)
        self._tables = Tables(
            self._configs, self._names, self._cluster, self._reads, self._endurance
        )
        self._lock = threading.RLock()
        self._opened: tuple[Catalogue, Progress] | None = None
        # The library hangs for ever when a member of a group is collected that was not closed.
        self._members: set[KafkaConsumer] = set()
        self._producers: weakref.WeakSet[KafkaProducer] = weakref.WeakSet()
        self._readers: weakref.WeakSet[KafkaReader] = weakref.WeakSet()

    def create_topic(self, name: str, spec: TopicSpec) -> None:
        topic = self._names.topic(name)
        with self._lock:
            known = self._catalogue.latest(name)
            if known and known.phase == "going":
                self.delete_topic(name)
                known = None
            if known and known.spec != spec:
                raise TopicExists(f"topic {name} exists with {known.spec}, not {spec}")
            if known and known.phase == "there":
                return
            entry = self._catalogue.write(name, "making", spec)
            if spec.states:
                self._cluster.create(self._names.states(name), 1, LATEST)
            self._cluster.create(topic, spec.partitions, RECORDS)
            self._catalogue.write(name, "there", spec, entry.incarnation)

    def delete_topic(self, name: str) -> None:
        with self._lock:
            known = self._catalogue.latest(name)
            if not known:
                return
            self._catalogue.write(name, "going", known.spec, known.incarnation)
            self._cluster.delete(self._names.topic(name))
            if known.spec.states:
                self._cluster.delete(self._names.states(name))
            self._catalogue.remove(name)

    def topics(self) -> list[str]:
        return self._catalogue.names()

    def producer(self) -> KafkaProducer:
        made = KafkaProducer(
            self._configs, self._names, self._catalogue, self._cluster, self._progress, self._reads
        )
        self._producers.add(made)
        return made

    def consumer(
        self,
        group: str,
        prefixes: Prefixes,
        rebalance: Rebalance | None = None,
        wants: Wants | None = None,
    ) -> KafkaConsumer:
        catalogue = self._catalogue
        states = States(group, self._names, self._tables.appender)
        member = Member(
            self._configs, self._names, catalogue, states, group, prefixes, rebalance, wants
        )
        made = KafkaConsumer(
            group,
            self._names,
            catalogue,
            member,
            states,
            self._endurance,
            self._progress.note,
            self._configs.journal,
        )
        self._members = {each for each in self._members if not each.closed} | {made}
        return made

    def reader(self, source: TopicPartition, offset: int) -> KafkaReader:
        made = KafkaReader(
            self._configs,
            self._names.topic(source.topic),
            self._catalogue,
            source,
            offset,
            self._endurance,
        )
        self._readers.add(made)
        return made

    def committed(self, group: str, source: TopicPartition) -> Position:
        offset, mark = self._commit_of(group, source)
        return Position(offset, mark.note)

    def positions(self, group: str) -> dict[TopicPartition, Position]:
        return {
            source: Position(offset, mark.note)
            for source, (offset, mark) in self._offsets.of(group, self._read_by(group)).items()
            if (entry := self._catalogue.live(source.topic)) and mark.of(entry.incarnation)
        }

    def load_state(self, group: str, source: TopicPartition) -> bytes | None:
        _, mark = self._commit_of(group, source)
        if mark.pointer is None:
            return mark.inline
        return self._reads.record(self._names.states(source.topic), 0, mark.pointer).value()

    def end_offset(self, source: TopicPartition) -> int:
        return self._bounds(source)[1]

    def last_record(self, source: TopicPartition) -> Record | None:
        first, end = self._bounds(source)
        if first == end:
            return None
        entry = self._catalogue.find(source)
        message = self._reads.record(self._names.topic(source.topic), source.partition, end - 1)
        return received(message, source.topic, entry.incarnation)

    def wait_committed(
        self, groups: Iterable[str], source: TopicPartition, offset: int, timeout: float
    ) -> bool:
        return self._progress.wait(groups, source, offset, timeout)

    def table(self, name: str) -> KafkaTable:
        return self._tables.open(name)

    def counters(self) -> dict[str, float]:
        """Totals since the start, by name: bytes, errors, repeats."""
        return self._configs.journal.counts

    def ready(self) -> None:
        self._require_open()
        self._cluster.ready()

    def close(self) -> None:
        if self._endurance.closed.is_set():
            return
        self._endurance.closed.set()
        for member in self._members:
            member.close()
        for producer in list(self._producers):
            producer.close()
        for reader in list(self._readers):
            reader.close()
        with self._lock:
            if self._opened:
                self._opened[1].close()
            self._tables.close()
            self._reads.close()
            self._offsets.close()
            self._cluster.close()

    @property
    def _catalogue(self) -> Catalogue:
        return self._open()[0]

    @property
    def _progress(self) -> Progress:
        return self._open()[1]

    def _open(self) -> tuple[Catalogue, Progress]:
        self._require_open()
        with self._lock:
            if not self._opened:
                catalogue = Catalogue(self._tables.open(CATALOGUE))
                self._opened = catalogue, Progress(self._offsets.of, catalogue)
            return self._opened

    def _require_open(self) -> None:
        if self._endurance.closed.is_set():
            raise BusError("the bus is closed")

    def _bounds(self, source: TopicPartition) -> tuple[int, int]:
        self._catalogue.find(source)
        return self._reads.bounds(self._names.topic(source.topic), source.partition)

    def _read_by(self, group: str) -> list[TopicPartition]:
        """Every partition that a group may have read."""
        entries = {
            name: entry.spec
            for name, entry in self._catalogue.all().items()
            if entry.phase == "there" and group in (entry.spec.readers or (group,))
        }
        return [
            TopicPartition(name, i) for name in entries for i in range(entries[name].partitions)
        ]

    def _commit_of(self, group: str, source: TopicPartition) -> tuple[int, Mark]:
        """Where a group is in this incarnation of the topic, and what it said."""
        entry = self._catalogue.live(source.topic) or self._catalogue.latest(source.topic)
        found = self._offsets.of(group, [source]).get(source) if entry else None
        if not entry or not found or not found[1].of(entry.incarnation):
            return 0, Mark()
        return found
