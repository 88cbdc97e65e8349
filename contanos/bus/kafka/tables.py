"""All tables of a bus, read by one consumer in one thread."""

import threading
from queue import SimpleQueue

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from contanos.bus.kafka.append import Appender
from contanos.bus.kafka.cluster import Cluster
from contanos.bus.kafka.config import LATEST, Configs
from contanos.bus.kafka.faults import Endurance
from contanos.bus.kafka.names import Names
from contanos.bus.kafka.reads import Reads
from contanos.bus.kafka.table import KafkaTable

log = structlog.get_logger(__name__)

_SLICE = 0.1  # seconds in which the thread notices a new table, and that it is to end


class Tables:
    """Opens tables and keeps them up to date."""

    def __init__(
        self, configs: Configs, names: Names, cluster: Cluster, reads: Reads, endurance: Endurance
    ) -> None:
        self._names = names
        self._cluster = cluster
        self._reads = reads
        self._endurance = endurance
        self.appender = Appender(configs)
        # The end is told even where compaction has removed the last record.
        self._client = Consumer(configs.reader() | {"enable.partition.eof": True})
        self._opening = threading.Lock()
        self._tables: dict[str, KafkaTable] = {}
        self._added: SimpleQueue[str] = SimpleQueue()  # a consumer is one thread's at a time
        self._thread = threading.Thread(target=self._serve, name="kafka-tables", daemon=True)
        self._thread.start()

    def open(self, name: str) -> KafkaTable:
        """The table of that name, complete as of now."""
        topic = self._names.table(name)
        with self._opening:
            if topic not in self._tables:
                self._cluster.create(topic, 1, LATEST)
                self._tables[topic] = self._new(topic)
                self._added.put(topic)
            table = self._tables[topic]
        table.catch_up()
        return table

    def close(self) -> None:
        """End the thread; tables change no more."""
        self._thread.join()
        self._client.close()
        self.appender.close()

    def _new(self, topic: str) -> KafkaTable:
        def end() -> int:
            return self._reads.bounds(topic, 0)[1]

        return KafkaTable(topic, self.appender, end, self._endurance.seconds)

    def _serve(self) -> None:
        while not self._endurance.closed.is_set():
            while not self._added.empty():
                spot = TopicPartition(self._added.get(), 0, OFFSET_BEGINNING)
                self._client.incremental_assign([spot])
            message = self._client.poll(_SLICE)
            if message is None:
                continue
            table = self._tables.get(message.topic() or "")
            offset, error = message.offset() or 0, message.error()
            if error is None and table:
                table.apply((message.key() or b"").decode(), message.value(), offset)
            elif error and error.code() == KafkaError._PARTITION_EOF and table:
                table.reached(offset)
            elif error:
                log.debug("table not read, tried again", error=error.name(), cause=error.str())
