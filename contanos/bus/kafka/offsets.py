"""What groups have committed, asked of the brokers.

By a consumer of each group that never joins it. An administrator's client could ask as well, but in
librdkafka (2.16) it ends the process when the group's coordinator goes away in the middle.
"""

import threading
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Spot

from contanos.bus.contract import TopicPartition
from contanos.bus.kafka.config import Configs
from contanos.bus.kafka.faults import Endurance, described, error_of
from contanos.bus.kafka.mark import Mark, parse_mark
from contanos.bus.kafka.names import Names
from contanos.errors import BusError

_SECONDS = 3.0  # for one question; closing waits for it

Committed = dict[TopicPartition, tuple[int, Mark]]


class Offsets:
    """Knows every group. Safe from any thread."""

    def __init__(self, configs: Configs, names: Names, endurance: Endurance) -> None:
        self._configs = configs
        self._names = names
        self._endurance = endurance
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[Consumer, threading.Lock]] = {}

    def of(self, group: str, sources: Iterable[TopicPartition]) -> Committed:
        """What a group has committed in each of `sources`; nothing for those where it never did.

        Raises:
            BusError: the brokers do not answer.
        """
        spots = [Spot(self._names.topic(each.topic), each.partition) for each in sources]
        if not spots:
            return {}
        client, lock = self._client(group)
        what = f"ask how far {group} has come"
        try:
            with lock:
                found = self._endurance.ask(what, lambda: client.committed(spots, _SECONDS))
        except KafkaException as e:
            raise BusError(described(what, error_of(e))) from e
        return {
            TopicPartition(self._names.local(each.topic), each.partition): (
                each.offset,
                parse_mark(each.metadata),
            )
            for each in found
            if each.offset >= 0 and not each.error
        }

    def close(self) -> None:
        """Release the connections."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client, lock in clients.values():
            with lock:
                client.close()

    def _client(self, group: str) -> tuple[Consumer, threading.Lock]:
        with self._lock:
            if group not in self._clients:
                config = self._configs.reader() | {"group.id": self._names.group(group)}
                self._clients[group] = Consumer(config), threading.Lock()
            return self._clients[group]
