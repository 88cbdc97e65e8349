"""A reader outside of every group, on Kafka."""

import threading
import time

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Spot

from contanos.bus.contract import Record, TopicPartition
from contanos.bus.kafka.catalogue import Catalogue
from contanos.bus.kafka.config import Configs
from contanos.bus.kafka.faults import NO_TOPIC, Endurance, described, error_of, lasting
from contanos.bus.kafka.values import Received, received
from contanos.errors import BusError, UnknownTopic

log = structlog.get_logger(__name__)

_SECONDS = 3.0  # for one request; closing waits for it
_SLICE = 0.1  # seconds in which a waiting poll notices that the topic is gone, or the bus closed


class KafkaReader:
    """The contract's `Reader`: a client of its own, which is told what to read.

    Args:
        topic: of `source`, as the brokers know it.
        catalogue: tells when the topic is gone.

    Raises:
        UnknownTopic: there is none.
        BusError: the brokers do not answer.
    """

    def __init__(
        self,
        configs: Configs,
        topic: str,
        catalogue: Catalogue,
        source: TopicPartition,
        offset: int,
        endurance: Endurance,
    ) -> None:
        self._incarnation = catalogue.find(source).incarnation
        self._topic = topic
        self._catalogue = catalogue
        self._source = source
        self._next = offset
        self._endurance = endurance
        self._journal = configs.journal
        self._using = threading.Lock()  # the client may not be closed while it is used
        self._closed = False
        self._client = Consumer(configs.reader())
        try:
            self._look()
        except BaseException:
            self._client.close()
            raise

    def poll(self, limit: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            with self._using:
                if self._closed and not self._endurance.closed.is_set():
                    return []
                self._require_there()
                records = self._take(limit, min(_SLICE, left))
            if records or not left:
                return records

    def close(self) -> None:
        with self._using:
            if not self._closed:
                self._closed = True
                self._client.close()

    def _require_there(self) -> None:
        if self._endurance.closed.is_set():
            raise BusError("the bus is closed")
        entry = self._catalogue.live(self._source.topic)
        if not entry or entry.incarnation != self._incarnation:
            raise UnknownTopic(f"topic {self._source.topic} was deleted while it was read")

    def _take(self, limit: int, timeout: float) -> list[Record]:
        first = self._client.poll(timeout)
        if first is None:
            return []
        more = self._client.consume(limit - 1, 0) if limit > 1 else []
        return [record for each in (first, *more) if (record := self._record(each))]

    def _record(self, message: Received) -> Record | None:
        """None for an error, and for what lies before our offset.

        Of an offset that the partition has not reached the client thinks as of one that is let go.
        """
        if error := message.error():
            self._heed(error)
            return None
        if (message.offset() or 0) < self._next:
            return None
        self._journal.count("bytes_received", len(message.value() or b""))
        record = received(message, self._source.topic, self._incarnation)
        self._next = record.offset + 1
        return record

    def _heed(self, error: KafkaError) -> None:
        what = f"read {self._source.topic}"
        if lasting(error):
            raise BusError(described(what, error))
        log.debug("reader goes on", what=what, error=error.name(), cause=error.str())
        if error.code() in NO_TOPIC:  # brokers that have not heard of a new topic
            self._look()

    def _look(self) -> None:
        """Have the client learn at once where the topic is, and read on from there."""
        what = f"look for {self._source.topic}"
        try:
            self._endurance.ask(
                what, lambda: self._client.list_topics(topic=self._topic, timeout=_SECONDS)
            )
            self._client.assign([Spot(self._topic, self._source.partition, self._next)])
        except KafkaException as e:
            raise BusError(described(what, error_of(e))) from e
