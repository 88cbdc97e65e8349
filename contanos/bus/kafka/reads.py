"""Reads single records and the ends of partitions, outside any group."""

import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contanos.bus.kafka.config import Configs
from contanos.bus.kafka.faults import NO_TOPIC, Endurance, described, error_of, passing
from contanos.bus.kafka.values import Received
from contanos.errors import BusError, UnknownTopic

_SECONDS = 10.0  # for one request


class Reads:
    """One consumer for all threads of a bus. Topics are named as the brokers know them."""

    def __init__(self, configs: Configs, endurance: Endurance) -> None:
        self._client = Consumer(configs.reader())
        self._endurance = endurance
        self._lock = threading.Lock()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The offsets of the oldest record, and of the next one to come.

        Raises:
            UnknownTopic: no such topic or partition.
            BusError: the brokers do not answer.
        """
        what = f"ask for the end of {topic}, partition {partition}"
        spot = TopicPartition(topic, partition)
        try:
            found = self._endurance.ask(what, lambda: self._watermarks(spot))
        except KafkaException as e:
            kind = UnknownTopic if error_of(e).code() in NO_TOPIC else BusError
            raise kind(described(what, error_of(e))) from e
        if found is None:
            raise BusError(f"cannot {what}: the brokers did not answer in {_SECONDS:g} s")
        return found

    def record(self, topic: str, partition: int, offset: int) -> Received:
        """The record at `offset`.

        Raises:
            BusError: it is not there, or the brokers do not answer.
        """
        with self._lock:
            self._client.assign([TopicPartition(topic, partition, offset)])
            try:
                found = self._first(f"read {topic}, partition {partition}, offset {offset}")
            finally:
                self._client.unassign()
        if found.offset() != offset:
            raise BusError(f"{topic}, partition {partition}: no record at offset {offset}")
        return found

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            self._client.close()

    def _watermarks(self, spot: TopicPartition) -> tuple[int, int] | None:
        with self._lock:
            try:
                return self._client.get_watermark_offsets(spot, timeout=_SECONDS)
            except KafkaException as e:
                if error_of(e).code() not in NO_TOPIC:
                    raise
                # The client remembers for minutes that a topic was not there: have it look again.
                self._client.list_topics(topic=spot.topic, timeout=_SECONDS)
                return self._client.get_watermark_offsets(spot, timeout=_SECONDS)

    def _first(self, what: str) -> Received:
        deadline = time.monotonic() + self._endurance.seconds
        last: KafkaError | None = None
        while time.monotonic() < deadline and not self._endurance.closed.is_set():
            message = self._client.poll(0.1)
            last = message.error() if message else last
            if message and not message.error():
                return message
            if last and not passing(last):
                break
        raise BusError(described(what, last) if last else f"cannot {what}: nothing came")
