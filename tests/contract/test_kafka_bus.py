import itertools
import os
from collections.abc import Iterator

import pytest

from contanos.bus import Bus, open_bus
from contanos.bus.kafka import KafkaSettings
from contanos.testing.kafka import Broker
from tests.contract.bus_contract import BusContract

SETTINGS = KafkaSettings(patience=1.0, session_timeout=6.0)

_numbers = itertools.count()


@pytest.fixture
def url(broker: Broker) -> str:
    """The shared broker, with a namespace that nobody else has."""
    return f"{broker.url}/test-{os.getpid()}-{next(_numbers)}"


class TestKafkaBus(BusContract):
    PATIENCE = 20.0
    SETTLING = 1.5

    @pytest.fixture
    def bus(self, url: str) -> Iterator[Bus]:
        bus = open_bus(url, SETTINGS)
        yield bus
        bus.close()
