"""The contract on real Apache Kafka, and what only a bus between processes can get wrong."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import confluent_kafka
import numpy as np
import psutil
import pytest

from contanos.bus import (
    Bus,
    Consumer,
    Position,
    Producer,
    Record,
    TopicPartition,
    TopicSpec,
    kafka,
    open_bus,
)
from contanos.bus.kafka import KafkaBus, KafkaSettings
from contanos.errors import BusError, MessageError, NotAssigned, SettingError, UnknownTopic
from contanos.messages import EndOfStream
from contanos.testing.kafka import Broker
from contanos.video.frame import Frame
from contanos.video.single import single
from tests.contract.bus_contract import BusContract, at, fill, value

SETTINGS = KafkaSettings(patience=1.0, session_timeout=6.0)
PATIENCE = 30.0

_numbers = itertools.count()
_NUMBERS_A = TopicPartition("numbers_a", 0)


@pytest.fixture
def namespace() -> str:
    """One that nobody else has."""
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def url(broker: Broker, namespace: str) -> str:
    return f"{broker.url}/{namespace}"


@pytest.fixture
def bus(url: str) -> Iterator[Bus]:
    bus = open_bus(url, SETTINGS)
    yield bus
    bus.close()


@pytest.fixture
def numbers(bus: Bus) -> str:
    bus.create_topic("numbers_a", TopicSpec(states=True))
    return "numbers_a"


def take(consumer: Consumer, count: int, patience: float = PATIENCE) -> list[Record]:
    records: list[Record] = []
    deadline = time.monotonic() + patience
    while len(records) < count and time.monotonic() < deadline:
        records += consumer.poll(count - len(records), 0.1)
    return records


def fill_for_ever(bus: Bus, topic: str, producer: Producer) -> None:
    for i in itertools.count():
        fill(bus, topic, 1, start=i, producer=producer)


def raw_records(broker: Broker, topic: str, count: int) -> list[confluent_kafka.Message]:
    """Records as another client sees them."""
    client = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": "raw"})
    client.assign([confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
    messages = client.consume(count, PATIENCE)
    client.close()
    return messages


class TestKafkaBus(BusContract):
    PATIENCE = 20.0
    SETTLING = 1.5

    @pytest.fixture
    def bus(self, url: str) -> Iterator[Bus]:
        bus = open_bus(url, SETTINGS)
        yield bus
        bus.close()


def test_namespaces_are_apart(broker: Broker, bus: Bus, namespace: str, numbers: str) -> None:
    neighbour = open_bus(f"{broker.url}/{namespace}-2", SETTINGS)
    try:
        assert neighbour.topics() == []
        neighbour.create_topic(numbers, TopicSpec())
        neighbour.table("tasks").put("a", b"theirs")
        consumers = [each.consumer("g", ["numbers_"], None) for each in (bus, neighbour)]
        fill(bus, numbers, 2)
        fill(neighbour, numbers, 1, start=7)
        assert [record.key for record in take(consumers[0], 2)] == [0, 1]
        assert [record.key for record in take(consumers[1], 1)] == [7]
        consumers[0].commit(at(2))
        assert neighbour.committed("g", _NUMBERS_A) == Position(0)
        assert bus.table("tasks").items() == {}
    finally:
        neighbour.close()


def test_a_record_that_is_no_message_is_told_and_passed(
    broker: Broker, bus: Bus, namespace: str, numbers: str
) -> None:
    stranger = confluent_kafka.Producer({"bootstrap.servers": broker.address})
    name = f"{namespace}.{numbers}"
    stranger.produce(name, b"not a message", key=b"0")
    stranger.produce(name, b"\xff", key=b"0", headers={"codec": b"jpeg"})
    stranger.produce(name, b'{"schema": 99}', key=b"key")
    assert stranger.flush(PATIENCE) == 0
    fill(bus, numbers, 1)
    records = take(bus.consumer("g", ["numbers_"], None), 4)
    errors = [record.value for record in records[:3]]
    assert all(isinstance(error, MessageError) for error in errors)
    assert "numbers_a, partition 0, offset 1" in str(errors[1])
    assert records[3].value == value(0)


def test_a_group_of_frames_is_one_object_for_all_who_read_it(bus: Bus, numbers: str) -> None:
    planes = [np.full(shape, 128, np.uint8) for shape in ((48, 64), (24, 32), (24, 32))]
    sent = single(Frame(5, 50, Fraction(1, 30), *planes), (64, 48), 90, "a")
    consumers = [bus.consumer(name, ["numbers_"], None) for name in ("one", "two")]
    producer = bus.producer()
    producer.send(numbers, 5, sent)
    producer.flush()
    first, second = (take(consumer, 1)[0] for consumer in consumers)
    assert first.value == sent
    assert first.value is second.value
    assert first.key == 5


def test_eight_mebibytes_pass(bus: Bus, numbers: str) -> None:
    large = EndOfStream(task_id="a", frames=0, reason="failed", cause="x" * (8 << 20))
    consumer = bus.consumer("g", ["numbers_"], None)
    producer = bus.producer()
    producer.send(numbers, 0, large)
    producer.flush()
    assert [record.value for record in take(consumer, 1)] == [large]
    consumer.commit({_NUMBERS_A: Position(1, "large", bytes(8 << 20))})
    assert bus.load_state("g", _NUMBERS_A) == bytes(8 << 20)


def test_a_value_that_cannot_travel_says_so(bus: Bus, numbers: str) -> None:
    with pytest.raises(BusError, match="object cannot travel"):
        bus.producer().send(numbers, 0, object())


def test_more_than_fits_is_left_with_the_broker(
    bus: Bus, numbers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 300_000
    monkeypatch.setattr(kafka.consumer, "_FULL", limit)
    producer = bus.producer()
    for i in range(200):
        text = EndOfStream(task_id="a", frames=i, reason="failed", cause="x" * 20_000)
        producer.send(numbers, i, text)
    producer.flush()
    consumer = kafka.KafkaBus.consumer(bus, "g", ["numbers_"])
    held = consumer._member.buffers
    deadline = time.monotonic() + PATIENCE
    while held.size <= limit and time.monotonic() < deadline:
        consumer.poll(0, 0.05)
    full = held.size
    for _ in range(20):
        consumer.poll(0, 0.05)
    assert limit < held.size <= full + 20_100
    assert [record.key for record in take(consumer, 200)] == list(range(200))
    assert held.size == 0


def test_what_every_reader_committed_is_let_go(broker: Broker, bus: KafkaBus) -> None:
    bus.create_topic("numbers_a", TopicSpec(capacity=4, readers=("g",)))
    consumer = bus.consumer("g", ["numbers_"], None)
    producer = bus.producer()
    for i in range(20):
        fill(bus, "numbers_a", 1, start=i, producer=producer)
        assert [record.key for record in take(consumer, 1)] == [i]
        consumer.commit(at(i + 1))
    deadline = time.monotonic() + PATIENCE
    while (first := bus._bounds(_NUMBERS_A)[0]) < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert 10 <= first < 20
    last = bus.last_record(_NUMBERS_A)
    assert last and last.key == 19


def test_an_acknowledged_flush_covers_all_but_deleted_topics(bus: Bus, numbers: str) -> None:
    bus.create_topic("numbers_b", TopicSpec())
    producer = bus.producer()
    fill(bus, "numbers_b", 1, producer=producer)
    producer.send(numbers, 0, value(0))
    deleting = threading.Thread(target=bus.delete_topic, args=["numbers_b"])
    deleting.start()
    with pytest.raises(UnknownTopic, match="numbers_b"):
        fill_for_ever(bus, "numbers_b", producer)
    deleting.join()
    assert bus.end_offset(_NUMBERS_A) == 1
    bus.create_topic("numbers_b", TopicSpec())
    fill(bus, "numbers_b", 1, producer=producer)
    assert bus.end_offset(TopicPartition("numbers_b", 0)) == 1


def test_a_topic_made_anew_at_once_is_read_from_its_start(bus: Bus, numbers: str) -> None:
    consumer = bus.consumer("g", ["numbers_"], None)
    producer = bus.producer()
    fill(bus, numbers, 5, producer=producer)
    assert len(take(consumer, 5)) == 5
    consumer.commit({_NUMBERS_A: Position(5, "old", b"old")})
    bus.delete_topic(numbers)
    bus.create_topic(numbers, TopicSpec(states=True))
    fill(bus, numbers, 7, producer=producer)
    assert bus.load_state("g", _NUMBERS_A) is None
    assert [record.offset for record in take(consumer, 7)] == list(range(7))
    consumer.commit({_NUMBERS_A: Position(7, "new", bytes(5000))})
    assert bus.committed("g", _NUMBERS_A) == Position(7, "new")
    assert bus.load_state("g", _NUMBERS_A) == bytes(5000)


def test_states_take_turns_so_that_compaction_spares_the_last(
    broker: Broker, bus: Bus, namespace: str, numbers: str
) -> None:
    consumer = bus.consumer("g", ["numbers_"], None)
    fill(bus, numbers, 4)
    take(consumer, 4)
    states = [bytes([i]) * 5000 for i in range(4)]
    for i, state in enumerate(states[:3]):
        consumer.commit({_NUMBERS_A: Position(i, "", state)})
    consumer.close()
    heir = bus.consumer("g", ["numbers_"], None)
    take(heir, 2)
    heir.commit({_NUMBERS_A: Position(3, "kept")})
    assert bus.load_state("g", _NUMBERS_A) == states[2]
    heir.commit({_NUMBERS_A: Position(4, "", states[3])})
    records = raw_records(broker, f"{namespace}.{numbers}.states", 4)
    assert [record.value() for record in records] == states
    keys = [(record.key() or b"").decode().split("/") for record in records]
    assert [key[:2] for key in keys] == [["g", "0"]] * 4
    assert [key[3] for key in keys] == ["0", "1", "0", "0"]
    assert keys[0][2] == keys[1][2] == keys[2][2] != keys[3][2]


def test_a_note_has_its_limits(bus: Bus, numbers: str) -> None:
    consumer = bus.consumer("g", ["numbers_"], None)
    fill(bus, numbers, 1)
    take(consumer, 1)
    longest = ";@=" + "n" * 797
    consumer.commit({_NUMBERS_A: Position(1, longest, b"\xff" * 1000)})
    assert bus.committed("g", _NUMBERS_A) == Position(1, longest)
    assert bus.load_state("g", _NUMBERS_A) == b"\xff" * 1000
    for note in ("n" * 801, "naïve"):
        with pytest.raises(SettingError, match="note"):
            consumer.commit({_NUMBERS_A: Position(1, note)})


_ZOMBIE = """
import sys
from contanos.bus import Position, TopicPartition, open_bus
from contanos.bus.kafka import KafkaSettings
from contanos.errors import NotAssigned

bus = open_bus(sys.argv[1], KafkaSettings(session_timeout=2.0))
consumer = bus.consumer("g", ["numbers_"], None)
while not consumer.poll(10, 1.0):
    pass
print("reading", flush=True)
for line in sys.stdin:
    try:
        consumer.commit({TopicPartition("numbers_a", 0): Position(1, "zombie", b"zombie")})
        print("committed", flush=True)
    except NotAssigned:
        print("refused", flush=True)
bus.close()
"""


@pytest.mark.parametrize("heir_stays", [True, False])
def test_a_frozen_member_that_returns_cannot_commit(
    bus: Bus, url: str, numbers: str, heir_stays: bool
) -> None:
    fill(bus, numbers, 2)
    with subprocess.Popen(
        [sys.executable, "-c", _ZOMBIE, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as zombie:
        assert zombie.stdin and zombie.stdout
        while zombie.stdout.readline() != "reading\n":
            assert zombie.poll() is None
        zombie.send_signal(signal.SIGSTOP)
        heir = bus.consumer("g", ["numbers_"], None)
        assert len(take(heir, 2)) == 2
        heir.commit({_NUMBERS_A: Position(2, "heir", b"heir")})
        if not heir_stays:
            heir.close()
        zombie.stdin.write("at once\n")
        zombie.stdin.flush()
        zombie.send_signal(signal.SIGCONT)
        answers = [next(line for line in zombie.stdout if line in ("refused\n", "committed\n"))]
        time.sleep(1.0)
        zombie.stdin.write("when its client has heard\n")
        zombie.stdin.close()
        answers += [line for line in zombie.stdout if line in ("refused\n", "committed\n")]
        assert zombie.wait(PATIENCE) == 0
    assert answers == ["refused\n", "refused\n"]
    assert bus.committed("g", _NUMBERS_A) == Position(2, "heir")
    assert bus.load_state("g", _NUMBERS_A) == b"heir"


def test_what_a_refused_member_had_read_comes_again(
    bus: Bus, numbers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a rebalance that waits long for a dead member, and leaves everything as it was."""
    told: list[str] = []

    class Told:
        def assigned(self, partitions: Iterable[TopicPartition]) -> None:
            told.append("assigned")

        def revoked(self, partitions: Iterable[TopicPartition]) -> None:
            told.append("revoked")

    def refuse(*_: object) -> None:
        raise NotAssigned("the group's generation is another one")

    consumer = bus.consumer("g", ["numbers_"], Told())
    fill(bus, numbers, 4)
    assert [each.offset for each in take(consumer, 2)] == [0, 1]
    consumer.commit({_NUMBERS_A: Position(1, "one")})
    with monkeypatch.context() as patched:
        patched.setattr(kafka.consumer, "commit", refuse)
        with pytest.raises(NotAssigned):
            consumer.commit({_NUMBERS_A: Position(2, "two")})
    assert [each.offset for each in take(consumer, 3)] == [1, 2, 3]
    assert told == ["assigned", "revoked", "assigned"]
    consumer.commit({_NUMBERS_A: Position(4, "four")})
    assert bus.committed("g", _NUMBERS_A) == Position(4, "four")


@pytest.fixture(scope="module")
def mortal(kafka_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that tests may kill."""
    with Broker(tmp_path_factory.mktemp("mortal") / "broker") as broker:
        yield broker


class Outage:
    """A broker is killed while records are sent and read, and comes back."""

    total = 400

    def __init__(self, broker: Broker, bus: Bus) -> None:
        self.broker = broker
        self.bus = bus
        self.failures: list[BaseException] = []
        self._producing = threading.Thread(target=self._produce, args=[bus.producer()])
        self._starting = threading.Timer(1.0, broker.start)

    def begin(self, consumer: Consumer) -> list[Record]:
        """Twenty records, after which the broker is gone."""
        self._producing.start()
        records = take(consumer, 20)
        self.broker.kill()
        return records

    def end(self) -> None:
        self._starting.start()

    def join(self) -> None:
        self._producing.join()
        self._starting.join()

    def _produce(self, producer: Producer) -> None:
        try:
            for i in range(0, self.total, 5):
                fill(self.bus, "numbers_a", 5, start=i, producer=producer)
                time.sleep(0.02)
        except BaseException as e:  # told to the test
            self.failures.append(e)


def test_a_broker_that_restarts_in_time_disturbs_nothing(mortal: Broker, namespace: str) -> None:
    bus = open_bus(f"{mortal.url}/{namespace}", KafkaSettings(session_timeout=120.0))
    bus.create_topic("numbers_a", TopicSpec(states=True))
    bus.table("tasks").put("a", b"before")
    consumer = bus.consumer("g", ["numbers_"], None)
    outage = Outage(mortal, bus)
    try:
        records = outage.begin(consumer)
        with pytest.raises(BusError, match="no broker answers at"):
            bus.ready()
        outage.end()
        consumer.commit({_NUMBERS_A: Position(20, "while it is away", bytes(5000))})
        records += take(consumer, outage.total - len(records), 2 * PATIENCE)
        outage.join()
        assert not outage.failures
        assert [record.offset for record in records] == list(range(outage.total))
        assert [record.key for record in records] == list(range(outage.total))
        assert bus.load_state("g", _NUMBERS_A) == bytes(5000)
        bus.table("tasks").put("b", b"after")
        assert bus.table("tasks").items() == {"a": b"before", "b": b"after"}
        bus.ready()
    finally:
        bus.close()


def test_after_a_long_outage_reading_goes_on_from_the_last_commit(
    mortal: Broker, namespace: str
) -> None:
    bus = open_bus(f"{mortal.url}/{namespace}", KafkaSettings(session_timeout=1.0))
    bus.create_topic("numbers_a", TopicSpec())
    lost: list[TopicPartition] = []

    class Losses:
        def assigned(self, partitions: Iterable[TopicPartition]) -> None:
            """They are not counted."""

        def revoked(self, partitions: Iterable[TopicPartition]) -> None:
            lost.extend(partitions)

    consumer = bus.consumer("g", ["numbers_"], Losses())
    outage = Outage(mortal, bus)
    try:
        assert len(outage.begin(consumer)) == 20
        time.sleep(2.0)
        outage.end()
        offset, deadline = 0, time.monotonic() + 2 * PATIENCE
        while offset < outage.total and time.monotonic() < deadline:
            for record in consumer.poll(10, 0.1):
                assert record.offset == record.key
                assert record.offset in (0, offset), "neither the next one nor the last commit"
                offset = record.offset + 1
        outage.join()
        assert not outage.failures
        assert lost == [_NUMBERS_A]
        consumer.commit(at(offset))
        assert bus.committed("g", _NUMBERS_A).offset == outage.total
    finally:
        bus.close()


def test_closing_does_not_wait_for_a_broker_that_is_gone(mortal: Broker, namespace: str) -> None:
    bus = open_bus(f"{mortal.url}/{namespace}", SETTINGS)
    bus.create_topic("numbers_a", TopicSpec())
    consumer = bus.consumer("g", ["numbers_"], None)
    producer = bus.producer()
    fill(bus, "numbers_a", 1, producer=producer)
    take(consumer, 1)
    mortal.kill()
    producer.send("numbers_a", 1, value(1))
    failures: list[BusError] = []

    def commit() -> None:
        try:
            consumer.commit(at(1))
        except BusError as e:
            failures.append(e)

    committing = threading.Thread(target=commit)
    committing.start()
    time.sleep(0.5)
    started = time.monotonic()
    bus.close()
    committing.join()
    assert time.monotonic() - started < 8
    assert len(failures) == 1
    assert consumer.poll(1, 60.0) == []


def test_a_bus_without_a_broker_opens_and_says_so() -> None:
    bus = open_bus("kafka://127.0.0.1:1", KafkaSettings(endurance=0.5))
    started = time.monotonic()
    with pytest.raises(BusError, match=r"no broker answers at 127\.0\.0\.1:1: .*refused"):
        bus.ready()
    assert time.monotonic() - started < 4
    with pytest.raises(BusError, match="do the brokers run"):
        bus.topics()
    bus.close()


def test_nothing_is_left_of_topics_that_are_gone(bus: Bus) -> None:
    process = psutil.Process()
    consumer = bus.consumer("g", ["numbers_"], None)
    producer = bus.producer()
    spec = TopicSpec(capacity=4, readers=("g",), states=True)
    counts: list[tuple[int, int]] = []
    for i in range(30):
        name = f"numbers_{i}"
        source = TopicPartition(name, 0)
        bus.create_topic(name, spec)
        fill(bus, name, 3, producer=producer)
        assert len(take(consumer, 3)) == 3
        consumer.commit({source: Position(3, "", bytes(5000))})
        assert bus.wait_committed(["g"], source, 3, PATIENCE)
        assert bus.load_state("g", source) == bytes(5000)
        bus.delete_topic(name)
        counts.append((process.num_threads(), process.num_fds()))
    assert max(counts[3:]) <= max(counts[:3])
    assert bus.topics() == []


def test_closing_releases_all(url: str) -> None:
    process = psutil.Process()
    before = process.num_threads(), process.num_fds()
    bus = open_bus(url, SETTINGS)
    bus.create_topic("numbers_a", TopicSpec(capacity=2, readers=("g",)))
    consumer = bus.consumer("g", ["numbers_"], None)
    fill(bus, "numbers_a", 2)
    take(consumer, 2)
    assert not bus.wait_committed(["g"], _NUMBERS_A, 1, 0.1)
    assert process.num_threads() > before[0]
    bus.close()
    bus.close()
    assert (process.num_threads(), process.num_fds()) <= before
    with pytest.raises(BusError, match="closed"):
        bus.topics()


def test_a_password_is_not_shown(broker: Broker) -> None:
    settings = KafkaSettings(
        security_protocol="sasl_plaintext",
        sasl_mechanism="PLAIN",
        username="me",
        password="s3cret",
        key_password="s3cret",
    )
    assert "s3cret" not in repr(settings)
    bus = open_bus(broker.url, settings)
    with pytest.raises(BusError) as caught:
        bus.ready()
    bus.close()
    assert "s3cret" not in str(caught.value)


def test_settings_that_cannot_be_are_told(tmp_path: Path) -> None:
    missing = KafkaSettings(security_protocol="ssl", ca=str(tmp_path / "none.pem"))
    for url, settings, word in (
        ("kafka://", None, "host:port"),
        ("kafka://me:s3cret@host:9092", None, "settings"),
        ("kafka://host:9092/Vienna!", None, "namespace"),
        ("kafka://host:9092", missing, "ssl.ca.location"),
    ):
        with pytest.raises(SettingError, match=word) as caught:
            open_bus(url, settings)
        assert "s3cret" not in str(caught.value)
