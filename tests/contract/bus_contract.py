"""What every bus must do. Each implementation's tests inherit from `BusContract`.

An implementation provides the fixture `bus`, whose `send` gives up after about a second, and may
raise `PATIENCE` where its assignments take longer to settle.
"""

import threading
import time
from collections.abc import Iterator

import pytest

from contanos.bus import Bus, Consumer, Record, TopicPartition, TopicSpec
from contanos.errors import NotAssigned, TopicExists, TopicFull, UnknownTopic


def fill(bus: Bus, topic: str, count: int, start: int = 0, partition: int = 0) -> None:
    producer = bus.producer()
    for i in range(start, start + count):
        producer.send(topic, i, f"value {i}", partition)
    producer.flush()


class BusContract:
    PATIENCE = 5.0

    def take(self, consumer: Consumer, count: int, limit: int = 100) -> list[Record]:
        """Exactly `count` records, or as many as came in time."""
        records: list[Record] = []
        deadline = time.monotonic() + self.PATIENCE
        while len(records) < count and time.monotonic() < deadline:
            records += consumer.poll(min(limit, count - len(records)), 0.1)
        return records

    def settle(self, *consumers: Consumer) -> None:
        """Let assignments settle without taking records."""
        for _ in range(3):
            for consumer in consumers:
                consumer.poll(0, 0.01)

    @pytest.fixture
    def topic(self, bus: Bus) -> Iterator[str]:
        bus.create_topic("numbers_a", TopicSpec())
        yield "numbers_a"
        bus.delete_topic("numbers_a")

    def test_records_arrive_in_order_with_their_offsets(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 5)
        records = self.take(consumer, 5)
        assert [record.offset for record in records] == [0, 1, 2, 3, 4]
        assert [record.key for record in records] == [0, 1, 2, 3, 4]
        assert [record.value for record in records] == [f"value {i}" for i in range(5)]

    def test_every_group_sees_every_record(self, bus: Bus, topic: str) -> None:
        first = bus.consumer("one", ["numbers_"], None)
        second = bus.consumer("two", ["numbers_"], None)
        fill(bus, topic, 3)
        assert len(self.take(first, 3)) == len(self.take(second, 3)) == 3

    def test_what_was_not_committed_comes_again(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 6)
        self.take(consumer, 5)
        consumer.commit({TopicPartition(topic, 0): 2})
        consumer.close()
        again = bus.consumer("g", ["numbers_"], None)
        assert [record.offset for record in self.take(again, 4)] == [2, 3, 4, 5]

    def test_commits_are_kept_per_group(self, bus: Bus, topic: str) -> None:
        source = TopicPartition(topic, 0)
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 2)
        self.take(consumer, 2)
        consumer.commit({source: 2})
        assert bus.committed("g", source) == 2
        assert bus.committed("never seen", source) == 0
        assert bus.end_offset(source) == 2

    def test_new_topics_are_found_by_their_prefix(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        self.settle(consumer)
        bus.create_topic("numbers_b", TopicSpec())
        bus.create_topic("letters_b", TopicSpec())
        fill(bus, "numbers_b", 1)
        fill(bus, "letters_b", 1)
        records = self.take(consumer, 1)
        assert [record.topic for record in records] == ["numbers_b"]
        assert consumer.poll(10, 0.2) == []

    def test_members_share_partitions(self, bus: Bus) -> None:
        bus.create_topic("shared_a", TopicSpec(partitions=4))
        members = [bus.consumer("g", ["shared_"], None) for _ in range(2)]
        self.settle(*members)
        for partition in range(4):
            fill(bus, "shared_a", 3, partition=partition)
        taken = [self.take(member, 6) for member in members]
        owned = [{record.partition for record in records} for records in taken]
        assert not owned[0] & owned[1]
        assert owned[0] | owned[1] == {0, 1, 2, 3}

    def test_a_members_partitions_pass_to_the_others(self, bus: Bus, topic: str) -> None:
        first = bus.consumer("g", ["numbers_"], None)
        self.settle(first)
        fill(bus, topic, 2)
        assert len(self.take(first, 2)) == 2
        second = bus.consumer("g", ["numbers_"], None)
        first.close()
        assert [record.offset for record in self.take(second, 2)] == [0, 1]

    def test_a_former_owner_cannot_commit(self, bus: Bus, topic: str) -> None:
        zombie = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 2)
        self.take(zombie, 2)
        heir = bus.consumer("g", ["numbers_"], None)
        zombie.close()
        assert len(self.take(heir, 2)) == 2
        with pytest.raises(NotAssigned):
            zombie.commit({TopicPartition(topic, 0): 2})
        assert bus.committed("g", TopicPartition(topic, 0)) == 0

    def test_rebalances_are_announced(self, bus: Bus, topic: str) -> None:
        seen: list[tuple[str, TopicPartition]] = []

        class Notes:
            def assigned(self, partitions: list[TopicPartition]) -> None:
                seen.extend(("assigned", each) for each in partitions)

            def revoked(self, partitions: list[TopicPartition]) -> None:
                seen.extend(("revoked", each) for each in partitions)

        consumer = bus.consumer("g", ["numbers_"], Notes())
        fill(bus, topic, 1)
        self.take(consumer, 1)
        bus.delete_topic(topic)
        self.settle(consumer)
        source = TopicPartition(topic, 0)
        assert seen == [("assigned", source), ("revoked", source)]

    def test_a_full_topic_holds_the_producer_back(self, bus: Bus) -> None:
        bus.create_topic("small_a", TopicSpec(capacity=2))
        consumer = bus.consumer("g", ["small_"], None)
        fill(bus, "small_a", 2)
        producer = threading.Thread(target=fill, args=(bus, "small_a", 1, 2))
        producer.start()
        producer.join(0.2)
        assert producer.is_alive()
        self.take(consumer, 1)
        consumer.commit({TopicPartition("small_a", 0): 1})
        producer.join(self.PATIENCE)
        assert not producer.is_alive()
        assert bus.end_offset(TopicPartition("small_a", 0)) == 3

    def test_a_topic_that_stays_full_is_an_error(self, bus: Bus) -> None:
        bus.create_topic("small_a", TopicSpec(capacity=1))
        bus.consumer("g", ["small_"], None)
        fill(bus, "small_a", 1)
        with pytest.raises(TopicFull, match="small_a"):
            fill(bus, "small_a", 1)

    def test_one_slow_group_holds_the_records_of_all(self, bus: Bus, topic: str) -> None:
        fast = bus.consumer("fast", ["numbers_"], None)
        slow = bus.consumer("slow", ["numbers_"], None)
        fill(bus, topic, 3)
        self.take(fast, 3)
        fast.commit({TopicPartition(topic, 0): 3})
        assert [record.offset for record in self.take(slow, 3)] == [0, 1, 2]

    def test_topics_take_turns(self, bus: Bus) -> None:
        for name in ("turn_a", "turn_b"):
            bus.create_topic(name, TopicSpec())
        consumer = bus.consumer("g", ["turn_"], None)
        self.settle(consumer)
        fill(bus, "turn_a", 100)
        fill(bus, "turn_b", 3)
        assert "turn_b" in {record.topic for record in self.take(consumer, 20, limit=10)}

    def test_creating_twice_changes_nothing(self, bus: Bus, topic: str) -> None:
        fill(bus, topic, 1)
        bus.create_topic(topic, TopicSpec())
        assert bus.end_offset(TopicPartition(topic, 0)) == 1
        with pytest.raises(TopicExists):
            bus.create_topic(topic, TopicSpec(partitions=2))

    def test_a_deleted_topic_is_gone_with_its_offsets(self, bus: Bus, topic: str) -> None:
        source = TopicPartition(topic, 0)
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 1)
        self.take(consumer, 1)
        consumer.commit({source: 1})
        bus.delete_topic(topic)
        bus.delete_topic(topic)
        assert topic not in bus.topics()
        with pytest.raises(UnknownTopic):
            bus.producer().send(topic, 0, "late")
        with pytest.raises(UnknownTopic):
            bus.end_offset(source)
        bus.create_topic(topic, TopicSpec())
        assert bus.committed("g", source) == 0

    def test_a_topic_made_anew_is_read_from_its_start(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 5)
        self.take(consumer, 5)
        bus.delete_topic(topic)
        bus.create_topic(topic, TopicSpec())
        fill(bus, topic, 7)
        assert [record.offset for record in self.take(consumer, 7)] == list(range(7))

    def test_the_topics_of_a_task_go_to_the_same_member(self, bus: Bus) -> None:
        names = [f"{stage}_{task}" for stage in ("left", "right") for task in "abcdef"]
        for name in names:
            bus.create_topic(name, TopicSpec())
        members = [bus.consumer("g", ["left_", "right_"], None) for _ in range(3)]
        self.settle(*members)
        for name in names:
            fill(bus, name, 1)
        taken = [{r.topic for r in self.take(member, len(names))} for member in members]
        assert set().union(*taken) == set(names)
        for topics in taken:
            assert {name for name in topics if name.startswith("left")} == {
                name.replace("right", "left") for name in topics if name.startswith("right")
            }

    def test_waiting_for_commits(self, bus: Bus, topic: str) -> None:
        source = TopicPartition(topic, 0)
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 2)
        self.take(consumer, 2)
        assert not bus.wait_committed(["g"], source, 2, timeout=0.05)
        threading.Timer(0.1, consumer.commit, [{source: 2}]).start()
        assert bus.wait_committed(["g"], source, 2, timeout=self.PATIENCE)
        assert not bus.wait_committed(["g", "other"], source, 2, timeout=0.05)

    def test_wakeup_ends_a_poll(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        self.settle(consumer)
        started = time.monotonic()
        threading.Timer(0.1, consumer.wakeup).start()
        assert consumer.poll(1, 30.0) == []
        assert time.monotonic() - started < 10

    def test_states_are_kept_by_key(self, bus: Bus) -> None:
        assert bus.load_state("tracker_a") is None
        bus.save_state("tracker_a", b"one")
        bus.save_state("tracker_a", b"two")
        bus.save_state("tracker_b", b"other")
        assert bus.load_state("tracker_a") == b"two"
        bus.delete_state("tracker_a")
        bus.delete_state("tracker_a")
        assert bus.load_state("tracker_a") is None
        assert bus.load_state("tracker_b") == b"other"
