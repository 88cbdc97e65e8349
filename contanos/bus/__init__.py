"""The bus: `open_bus(url)` is the one way in; the URL's scheme picks the implementation."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from contanos.bus.contract import (
    Bus,
    Consumer,
    Position,
    Producer,
    Reader,
    Rebalance,
    Record,
    Table,
    TopicPartition,
    TopicSpec,
)
from contanos.bus.memory import MemoryBus
from contanos.errors import SettingError

if TYPE_CHECKING:
    from contanos.bus.kafka import KafkaSettings

__all__ = [
    "Bus",
    "Consumer",
    "Position",
    "Producer",
    "Reader",
    "Rebalance",
    "Record",
    "Table",
    "TopicPartition",
    "TopicSpec",
    "open_bus",
]


def open_bus(url: str, kafka: "KafkaSettings | None" = None) -> Bus:
    """The bus that `url` names.

    Args:
        url: `memory://`, which lives and ends with this process, or
            `kafka://host:port[,host:port][/namespace]`.
        kafka: how to reach Kafka's brokers, and how long to wait for them.

    Raises:
        SettingError: no implementation for the scheme, or the URL is not as it should be.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryBus()
    if scheme == "kafka":
        # Here, so that who stays in one process need not load Kafka's client.
        from contanos.bus.kafka import KafkaBus
        from contanos.bus.kafka.names import parse_url

        return KafkaBus(*parse_url(url), kafka)
    raise SettingError(f"no bus speaks {scheme or url!r}; use memory:// or kafka://host:port")
