"""One real Apache Kafka for the whole session, for whichever suite asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contanos.errors import MachineError
from contanos.testing.java import java
from contanos.testing.kafka import Broker
from contanos.testing.kafka.jars import jars


@pytest.fixture(scope="session")
def kafka_machine() -> None:
    """This machine can run Kafka: without one the test is left out, save where CI runs it."""
    try:
        java()
        jars()
    except MachineError as e:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NOT TESTED ON KAFKA: {e}")


@pytest.fixture(scope="session")
def broker(kafka_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Shared by all tests of the session, so each names its topics and groups anew."""
    with Broker(tmp_path_factory.mktemp("kafka") / "broker") as running:
        yield running


@pytest.fixture
def own_broker(kafka_machine: None, tmp_path: Path) -> Iterator[Broker]:
    """One that the test may stop and kill; not started yet."""
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.stop()
