"""The Kafka that other tests rely on: it starts, keeps what it acknowledged, and goes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contanos.errors import BusError, MachineError
from contanos.testing import java
from contanos.testing.kafka import Broker, background
from contanos.testing.kafka.ports import is_free

LARGEST = 8 * 2**20


def create(broker: Broker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(10)


def produce(broker: Broker, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.address, "message.max.bytes": 9437184})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


def consume(broker: Broker, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "unused"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [record.value() for record in consumer.consume(count, timeout=10)]
    finally:
        consumer.close()


def test_a_record_of_eight_mebibytes_goes_through(broker: Broker) -> None:
    create(broker, "largest")
    value = os.urandom(LARGEST)
    produce(broker, "largest", value)
    assert consume(broker, "largest", 1) == [value]


def test_topics_are_made_on_purpose_only(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    assert admin.list_topics("misspelt", timeout=10).topics["misspelt"].error is not None
    assert "misspelt" not in admin.list_topics(timeout=10).topics


def test_a_deleted_topic_leaves_the_disk_at_once(broker: Broker) -> None:
    create(broker, "gone")
    produce(broker, "gone", b"x")
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.delete_topics(["gone"])["gone"].result(10)
    deadline = time.monotonic() + 5
    while list(broker.folder.glob("data/gone*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_acknowledged_survives_a_kill(own_broker: Broker) -> None:
    own_broker.start()
    first = own_broker.pid
    create(own_broker, "kept")
    produce(own_broker, "kept", b"before")
    own_broker.kill()
    assert own_broker.pid is None and is_free(own_broker.port)
    own_broker.start()
    assert own_broker.pid != first
    produce(own_broker, "kept", b"after")
    assert consume(own_broker, "kept", 2) == [b"before", b"after"]
    own_broker.stop()
    assert own_broker.pid is None and is_free(own_broker.port)


def test_a_broker_that_cannot_start_says_why(own_broker: Broker) -> None:
    data = own_broker.folder / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=nonsense\n")
    with pytest.raises(BusError, match="nonsense"):
        own_broker.start()
    assert own_broker.pid is None


def test_a_port_that_is_taken_is_named(own_broker: Broker) -> None:
    with (
        socket.create_server(("127.0.0.1", own_broker.port)),
        pytest.raises(BusError, match=f"port {own_broker.port} is taken"),
    ):
        own_broker.start()


def test_a_broker_ends_with_the_tests_that_started_it() -> None:
    """The guard alone, on a process that stands for the broker: starting one more takes seconds."""
    code = (
        "import subprocess, sys, time\n"
        "from contanos.testing.kafka.guard import Guard\n"
        "child = subprocess.Popen(['sleep', '100'])\n"
        "guard = Guard(child.pid)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = psutil.Process(int(run.stdout.readline()))
        run.send_signal(signal.SIGKILL)
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def command(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "contanos.testing.kafka", name, "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@contextmanager
def stopped_at_last(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        background.stop(folder)


def test_the_command_starts_one_and_stops_one(kafka_machine: None, tmp_path: Path) -> None:
    folder = tmp_path / "kafka"
    with stopped_at_last(folder):
        first = command(folder, "start")
        again = command(folder, "start")
        found = background.running(folder)
        assert found is not None
        assert first.stdout == again.stdout == f"CONTANOS_BUS=kafka://127.0.0.1:{found.port}\n"
        assert "runs already" in again.stderr
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{found.port}"})
        assert admin.list_topics(timeout=10).brokers

        assert "stopped" in command(folder, "stop").stderr
        assert not psutil.pid_exists(found.pid)
        assert "no Kafka runs" in command(folder, "stop").stderr


def test_another_process_under_the_recorded_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text(f"[{os.getpid()}, 9092]")
    assert background.running(tmp_path) is None
    assert not background.stop(tmp_path)


def test_a_machine_without_java_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt-get install default-jre-headless"):
        java.java()
    with pytest.raises(MachineError, match="apt-get install maven"):
        java.maven()


def test_a_java_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(MachineError, match=r"11\.0\.2"):
        java.java()
