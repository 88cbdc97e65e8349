from collections.abc import Iterator

import pytest

from contanos.bus import Bus, TopicPartition, TopicSpec, open_bus
from contanos.bus.memory import MemoryBus
from contanos.errors import BusError, SettingError
from tests.contract.bus_contract import BusContract, at, fill


class TestMemoryBus(BusContract):
    @pytest.fixture
    def bus(self) -> Iterator[Bus]:
        bus = MemoryBus(patience=1.0)
        yield bus
        bus.close()

    def test_values_pass_by_reference(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        value = object()
        bus.producer().send(topic, 0, value)
        assert self.take(consumer, 1)[0].value is value

    def test_what_every_reader_committed_is_let_go(self, bus: MemoryBus) -> None:
        bus.create_topic("kept_a", TopicSpec(readers=("one", "two")))
        source = TopicPartition("kept_a", 0)
        consumers = [bus.consumer(name, ["kept_"], None) for name in ("one", "two")]
        fill(bus, "kept_a", 4)
        for consumer in consumers:
            self.take(consumer, 4)
        consumers[0].commit(at(4, "kept_a"))
        assert len(bus.logs[source].records) == 4
        consumers[1].commit(at(3, "kept_a"))
        assert len(bus.logs[source].records) == 1

    def test_who_is_no_reader_may_be_left_behind(self, bus: MemoryBus) -> None:
        bus.create_topic("kept_a", TopicSpec(readers=("one",)))
        reader, other = (bus.consumer(name, ["kept_"], None) for name in ("one", "two"))
        fill(bus, "kept_a", 2)
        self.settle(other)
        self.take(reader, 2)
        reader.commit(at(2, "kept_a"))
        assert other.poll(10, 0.1) == []
        fill(bus, "kept_a", 1)
        assert [each.offset for each in other.poll(10, 1.0)] == [2]


def test_closing_ends_every_wait() -> None:
    bus = open_bus("memory://")
    bus.create_topic("numbers_a", TopicSpec())
    consumer = bus.consumer("g", ["numbers_"], None)
    reader = bus.reader(TopicPartition("numbers_a", 0), 0)
    bus.close()
    assert consumer.poll(1, 60.0) == []
    with pytest.raises(BusError):
        reader.poll(1, 60.0)


def test_an_unknown_scheme_says_what_there_is() -> None:
    with pytest.raises(SettingError, match="memory://"):
        open_bus("carrier-pigeon://loft")
