"""The bus: `open_bus(url)` is the one way in; the URL's scheme picks the implementation."""

from urllib.parse import urlsplit

from contanos.bus.contract import (
    Bus,
    Consumer,
    Producer,
    Rebalance,
    Record,
    TopicPartition,
    TopicSpec,
)
from contanos.bus.memory import MemoryBus
from contanos.errors import SettingError

__all__ = [
    "Bus",
    "Consumer",
    "Producer",
    "Rebalance",
    "Record",
    "TopicPartition",
    "TopicSpec",
    "open_bus",
]


def open_bus(url: str) -> Bus:
    """The bus that `url` names: `memory://` lives and ends with this process.

    Raises:
        SettingError: no implementation for the scheme.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryBus()
    raise SettingError(f"no bus speaks {scheme or url!r}; use memory://")
