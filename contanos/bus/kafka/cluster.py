"""What is asked of the brokers beside reading and writing records."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contanos.bus import contract
from contanos.bus.kafka.catalogue import CATALOGUE
from contanos.bus.kafka.config import Configs
from contanos.bus.kafka.faults import NO_TOPIC, Endurance, described, error_of
from contanos.bus.kafka.names import Names
from contanos.errors import BusError

_SECONDS = 10.0  # for one request, at most
_SLICE = 0.2  # seconds in which a waiting request notices that the bus was closed
_READY_SECONDS = 2.0
_GONE_SECONDS = 30.0

Request = Callable[[], dict[Any, "Future[Any]"]]


class Cluster:
    """The brokers, as an administrator sees them."""

    def __init__(self, configs: Configs, names: Names, endurance: Endurance) -> None:
        self._configs = configs
        self._names = names
        self._endurance = endurance
        self._client = AdminClient(configs.client())
        self._seconds = min(_SECONDS, endurance.seconds)

    def create(self, topic: str, partitions: int, config: dict[str, str]) -> None:
        """Make a topic, unless it is there."""
        replication = self._configs.settings.replication
        new = NewTopic(topic, partitions, replication, config=config)
        self._ask(
            f"create topic {topic}",
            lambda: self._client.create_topics([new], request_timeout=self._seconds),
            allowed={KafkaError.TOPIC_ALREADY_EXISTS},
        )

    def delete(self, topic: str) -> None:
        """Delete a topic, if it is there, and wait until the brokers no longer name it."""
        self._ask(
            f"delete topic {topic}",
            lambda: self._client.delete_topics([topic], request_timeout=self._seconds),
            allowed=NO_TOPIC,
        )
        for _ in range(int(_GONE_SECONDS / 0.02)):
            if not self.exists(topic):
                return
            self._endurance.closed.wait(0.02)
        raise BusError(f"topic {topic} was deleted, but brokers go on naming it; try again")

    def exists(self, topic: str) -> bool:
        """Whether the brokers know a topic."""
        listed = self._endurance.ask(
            f"look for topic {topic}",
            lambda: self._client.list_topics(topic=topic, timeout=self._seconds).topics[topic],
        )
        return listed.error is None or listed.error.code() not in NO_TOPIC

    def trim(self, source: contract.TopicPartition, offset: int) -> None:
        """Let go of the records before `offset`, some time.

        Nobody waits for it: what is not let go now is with the next call, or with the topic.
        """
        spot = TopicPartition(self._names.topic(source.topic), source.partition, offset)
        self._client.delete_records([spot], request_timeout=self._seconds)

    def ready(self) -> None:
        """Return if a broker answers.

        Raises:
            BusError: none does.
        """
        try:
            self._client.list_topics(topic=self._names.table(CATALOGUE), timeout=_READY_SECONDS)
        except KafkaException as e:
            self._client.poll(0)  # brings what the journal was not told yet
            cause = self._configs.journal.cause or error_of(e).str()
            raise BusError(f"no broker answers at {self._configs.address}: {cause}") from e

    def close(self) -> None:
        """Release the connection."""
        with self._client:  # has no other way to close
            pass

    def _ask(self, what: str, request: Request, allowed: set[int]) -> Any:
        """The one answer to `request`; None where it failed as `allowed`."""
        try:
            return self._endurance.ask(what, lambda: self._answer(what, request))
        except KafkaException as e:
            if error_of(e).code() in allowed:
                return None
            raise BusError(described(what, error_of(e))) from e

    def _answer(self, what: str, request: Request) -> Any:
        (future,) = request().values()
        while not self._endurance.closed.is_set():
            with suppress(TimeoutError):
                return future.result(_SLICE)
        raise BusError(f"cannot {what}: the bus was closed")
