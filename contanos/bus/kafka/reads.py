"""Reads single records and the ends of partitions, outside any group."""

import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contanos.bus.kafka.config import Configs
from contanos.bus.kafka.faults import NO_TOPIC, Endurance, described, error_of, passing
from contanos.bus.kafka.values import Received
from contanos.errors import BusError, UnknownTopic

_SECONDS = 3.0  # for one request; closing waits for it
_KNOWN_SECONDS = 5.0  # that brokers and clients may take to hear of a new topic


class Reads:
    """One consumer for all threads of a bus. Topics are named as the brokers know them."""

    def __init__(self, configs: Configs, endurance: Endurance) -> None:
        # What is asked for is there: no fetch waits for more, in the next one's way.
        self._client = Consumer(configs.reader() | {"fetch.wait.max.ms": 1})
        self._endurance = endurance
        self._lock = threading.Lock()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The offsets of the oldest record, and of the next one to come.

        Ask for topics that should be there: a missing one is waited for a while.

        Raises:
            UnknownTopic: no such topic or partition.
            BusError: the brokers do not answer.
        """
        what = f"ask for the end of {topic}, partition {partition}"
        spot = TopicPartition(topic, partition)
        deadline = time.monotonic() + _KNOWN_SECONDS
        while True:
            try:
                return self._endurance.ask(what, lambda: self._watermarks(spot))
            except KafkaException as e:
                error = error_of(e)
                if error.code() not in NO_TOPIC:
                    raise BusError(described(what, error)) from e
                if self._endurance.closed.wait(0.02) or time.monotonic() > deadline:
                    raise UnknownTopic(described(what, error)) from e

    def record(self, topic: str, partition: int, offset: int) -> Received:
        """The record at `offset`.

        Raises:
            BusError: it is not there, or the brokers do not answer.
        """
        with self._lock:
            self._look(topic)
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

    def _watermarks(self, spot: TopicPartition) -> tuple[int, int]:
        with self._lock:
            try:
                found = self._client.get_watermark_offsets(spot, timeout=_SECONDS)
            except KafkaException as e:
                if error_of(e).code() in NO_TOPIC:
                    self._look(spot.topic)
                raise
        if found is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return found

    def _look(self, topic: str) -> None:
        """Have the client learn at once where a topic is; by itself it takes its time."""
        self._endurance.ask(
            f"look for {topic}", lambda: self._client.list_topics(topic=topic, timeout=_SECONDS)
        )

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
