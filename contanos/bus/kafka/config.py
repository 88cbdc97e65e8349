"""Settings of librdkafka, all in one place. Times are in ms, sizes in bytes unless they say kB."""

from dataclasses import dataclass, field
from typing import Any

from contanos.bus.kafka.journal import Journal
from contanos.bus.kafka.settings import KafkaSettings

Config = dict[str, Any]

MAX_RECORD = 9 << 20  # a value of 8 MiB, its headers and what Kafka adds
DELIVERY_SECONDS = 300.0  # a broker may be away for this long and no record is lost

_SEGMENT = 16 << 20  # deleting a record frees disk by whole segments; each holds a MAX_RECORD
_WEEK = 7 * 24 * 3600 * 1000
_DAY = _WEEK // 7


@dataclass(frozen=True)
class Configs:
    """Makes the configuration of each kind of client.

    Attributes:
        address: host:port of one or more brokers, with commas.
        settings: the operator's.
        journal: where all clients report.
    """

    address: str
    settings: KafkaSettings
    journal: Journal = field(default_factory=Journal)

    def client(self) -> Config:
        """What every client needs; enough for an admin client."""
        return {
            "bootstrap.servers": self.address,
            "allow.auto.create.topics": False,  # else a record sent late brings a dead topic back
            "socket.nagle.disable": True,
            "socket.keepalive.enable": True,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "message.max.bytes": MAX_RECORD,
            "log.connection.close": False,
            "logger": self.journal,
            "error_cb": self.journal.error,
        } | self._security()

    def producer(self) -> Config:
        """Of a producer whose records are neither lost, doubled nor reordered by retries."""
        return self.client() | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,  # `flush` does not wait for it
            # Frames are compressed already. Messages are a tenth of them: lz4 saves a fifth of that
            # for 60 us of a core each, zstd a half for 160 us.
            "compression.type": "none",
            "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
            "queue.buffering.max.kbytes": 64 << 10,
            "topic.metadata.propagation.max.ms": 3000,
        }

    def reader(self) -> Config:
        """Of a consumer that reads what it is told to, outside any group."""
        return self.client() | {
            "group.id": "none",  # never joined: the library wants a name
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 10_000,
            "fetch.wait.max.ms": 250,  # a new partition waits for a fetch that waits for others
            "fetch.error.backoff.ms": 50,
            "fetch.queue.backoff.ms": 20,
            "fetch.max.bytes": 16 << 20,
            "receive.message.max.bytes": 32 << 20,
            "queued.max.messages.kbytes": 4 << 10,  # of each partition
        }

    def member(self, group: str) -> Config:
        """Of a member of a group.

        A stage may stand in `send`, waiting for room, as long as the patience lasts, and must not
        lose its partitions by that.
        """
        session = int(self.settings.session_timeout * 1000)
        return self.reader() | {
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session,
            "heartbeat.interval.ms": min(600, session // 4),  # a rebalance waits for the next one
            "max.poll.interval.ms": int((self.settings.patience + 300) * 1000),
            "topic.metadata.refresh.interval.ms": 3000,
        }

    def _security(self) -> Config:
        given = {
            "security.protocol": self.settings.security_protocol,
            "ssl.ca.location": self.settings.ca,
            "ssl.certificate.location": self.settings.certificate,
            "ssl.key.location": self.settings.key,
            "ssl.key.password": self.settings.key_password,
        }
        if self.settings.security_protocol.startswith("sasl"):
            given["sasl.mechanism"] = self.settings.sasl_mechanism
            given["sasl.username"] = self.settings.username
            given["sasl.password"] = self.settings.password
        return {key: value for key, value in given.items() if value}


def _topic(**changes: object) -> dict[str, str]:
    config = {
        "max.message.bytes": MAX_RECORD,
        "segment.bytes": _SEGMENT,
        "segment.index.bytes": 128 << 10,
        "file.delete.delay.ms": 1000,
    }
    named = {key.replace("_", "."): value for key, value in changes.items()}
    return {key: str(value) for key, value in (config | named).items()}


# A live task's records may not vanish while it is slow or paused, so time is only the last net,
# under the readers' commits (room.py), the deletion with the task and the sweep for orphans.
RECORDS = _topic(cleanup_policy="delete", retention_ms=_WEEK)

LATEST = _topic(
    cleanup_policy="compact",
    min_cleanable_dirty_ratio=0.1,
    segment_ms=_DAY,
    delete_retention_ms=_DAY,
)
