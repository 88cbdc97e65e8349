"""Sends records, and knows which are acknowledged."""

import time
from collections import Counter
from functools import partial

import structlog
from confluent_kafka import KafkaError, Message, Producer

from contanos.bus.contract import TopicPartition
from contanos.bus.kafka.catalogue import Catalogue, Entry
from contanos.bus.kafka.cluster import Cluster
from contanos.bus.kafka.config import DELIVERY_SECONDS, Configs
from contanos.bus.kafka.enqueue import enqueue
from contanos.bus.kafka.faults import NO_TOPIC, described
from contanos.bus.kafka.names import Names
from contanos.bus.kafka.progress import Progress
from contanos.bus.kafka.reads import Reads
from contanos.bus.kafka.room import Room
from contanos.bus.kafka.values import to_bytes
from contanos.errors import BusError, UnknownTopic

log = structlog.get_logger(__name__)

_SLICE = 0.05  # seconds in which `flush` notices that a topic is gone

Sent = tuple[TopicPartition, str]
"""Where a record was sent to, and which incarnation of the topic that was."""


class KafkaProducer:
    """The contract's `Producer`."""

    def __init__(
        self,
        configs: Configs,
        names: Names,
        catalogue: Catalogue,
        cluster: Cluster,
        progress: Progress,
        reads: Reads,
    ) -> None:
        self._configs = configs
        self._names = names
        self._catalogue = catalogue
        self._reads = reads
        patience = configs.settings.patience
        self._room = Room(catalogue, progress, cluster, self._end, patience)
        self._pending: Counter[Sent] = Counter()
        self._refused: dict[str, KafkaError] = {}
        self._gone: dict[Sent, KafkaError | None] = {}
        # At once: a client takes half a second until the brokers have given it a number.
        self._client: Producer | None = Producer(configs.producer())

    def send(self, topic: str, key: int, value: object, partition: int = 0) -> None:
        source = TopicPartition(topic, partition)
        entry = self._catalogue.find(source)
        payload, headers = to_bytes(value)
        self._configs.journal.count("bytes_sent", len(payload))
        if entry.spec.readers:
            self._room.take(source, entry)
        self._queue(source, entry, value=payload, key=str(key).encode(), headers=headers)

    def flush(self) -> None:
        """Return once everything sent is acknowledged.

        Raises:
            UnknownTopic: records for a topic that is gone were dropped, all others acknowledged.
            BusError: the brokers took some of the records not.
        """
        self._drain()
        refused, gone = self._refused, self._gone
        self._refused, self._gone = {}, {}
        for sent, error in gone.items():
            if error and not self._is_gone(sent, self._catalogue.latest(sent[0].topic)):
                refused.setdefault(sent[0].topic, error)  # a broker that came back knew too little
        if refused:
            topic, error = next(iter(refused.items()))
            self._renew(error)
            raise BusError(described(f"send to {topic}", error))
        if gone:
            names = ", ".join(sorted({sent[0].topic for sent in gone}))
            raise UnknownTopic(f"no topic {names}: deleted while it was sent to")

    def close(self) -> None:
        """What is not acknowledged by now is dropped."""
        client, self._client = self._client, None
        if client:
            client.purge()
            client.close()

    def _queue(self, source: TopicPartition, entry: Entry, **record: object) -> None:
        sent = source, entry.incarnation
        self._pending[sent] += 1
        try:
            enqueue(
                self._open(),
                self._names.topic(source.topic),
                partition=source.partition,
                on_delivery=partial(self._delivered, sent),
                **record,
            )
        except BaseException:
            self._settle(sent)
            raise
        self._open().poll(0)

    def _open(self) -> Producer:
        if not self._client:
            self._client = Producer(self._configs.producer())
        return self._client

    def _delivered(
        self, sent: Sent, error: KafkaError | None, message: "Message[bytes, bytes]"
    ) -> None:
        if sent not in self._pending:
            return  # given up: its topic was gone
        self._settle(sent)
        if error and (error.code() in NO_TOPIC or self._is_gone(sent, self._now(sent))):
            self._gone[sent] = error
        elif error:
            self._refused.setdefault(sent[0].topic, error)

    def _settle(self, sent: Sent) -> None:
        self._pending[sent] -= 1
        if self._pending[sent] <= 0:
            del self._pending[sent]

    def _drain(self) -> None:
        deadline = time.monotonic() + DELIVERY_SECONDS + 10
        while self._pending and self._client:
            self._client.flush(_SLICE)
            for sent in [each for each in self._pending if self._is_gone(each, self._now(each))]:
                self._gone[sent] = None
                del self._pending[sent]
            if time.monotonic() > deadline:
                raise BusError("records sent were not acknowledged: do the brokers run?")

    def _now(self, sent: Sent) -> Entry | None:
        return self._catalogue.live(sent[0].topic)

    @staticmethod
    def _is_gone(sent: Sent, entry: Entry | None) -> bool:
        """Whether what was sent to is no longer what `entry` says."""
        return not entry or entry.phase != "there" or entry.incarnation != sent[1]

    def _end(self, source: TopicPartition) -> int:
        """The offset after the last record that was sent to `source`, acknowledged or not.

        Counted before the brokers are asked: a record on its way may count twice, never not.
        """
        self._open().poll(0)
        pending = sum(count for sent, count in self._pending.items() if sent[0] == source)
        return pending + self._reads.bounds(self._names.topic(source.topic), source.partition)[1]

    def _renew(self, error: KafkaError) -> None:
        """A client that the brokers refuse for good, as with lost sequence numbers, is replaced."""
        if error.fatal():
            log.warning("producer replaced", cause=error.str())
            self.close()
