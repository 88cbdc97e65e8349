"""What every bus must do. Each implementation's tests inherit from `BusContract`.

An implementation provides the fixture `bus`, empty and with a `send` that gives up after about a
second, and may raise `PATIENCE` and `SETTLING` where its assignments take longer to settle.
"""

import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from contanos.bus import (
    Bus,
    Consumer,
    Position,
    Producer,
    Reader,
    Record,
    TopicPartition,
    TopicSpec,
)
from contanos.errors import NotAssigned, SettingError, TopicExists, TopicFull, UnknownTopic
from contanos.messages import EndOfStream


def value(number: int) -> EndOfStream:
    return EndOfStream(task_id="a", frames=number, reason="completed")


def fill(
    bus: Bus,
    topic: str,
    count: int,
    start: int = 0,
    partition: int = 0,
    producer: Producer | None = None,
) -> None:
    producer = producer or bus.producer()
    for i in range(start, start + count):
        producer.send(topic, i, value(i), partition)
    producer.flush()


def at(offset: int, topic: str = "numbers_a", partition: int = 0) -> dict[TopicPartition, Position]:
    return {TopicPartition(topic, partition): Position(offset)}


class BusContract:
    PATIENCE = 5.0
    SETTLING = 0.03

    def take(self, consumer: Consumer | Reader, count: int, limit: int = 100) -> list[Record]:
        """Exactly `count` records, or as many as came in time."""
        records: list[Record] = []
        deadline = time.monotonic() + self.PATIENCE
        while len(records) < count and time.monotonic() < deadline:
            records += consumer.poll(min(limit, count - len(records)), 0.1)
        return records

    def share(self, members: list[Consumer], count: int) -> list[list[Record]]:
        """What each member got, once all have `count` records together."""
        taken: list[list[Record]] = [[] for _ in members]
        deadline = time.monotonic() + self.PATIENCE
        while sum(map(len, taken)) < count and time.monotonic() < deadline:
            for records, member in zip(taken, members, strict=True):
                records += member.poll(100, 0.02)
        assert sum(map(len, taken)) == count
        return taken

    def settle(self, *consumers: Consumer) -> None:
        """Let assignments settle without taking records."""
        deadline = time.monotonic() + self.SETTLING
        while time.monotonic() < deadline:
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
        assert [record.value for record in records] == [value(i) for i in range(5)]

    def test_every_group_sees_every_record(self, bus: Bus, topic: str) -> None:
        first = bus.consumer("one", ["numbers_"], None)
        second = bus.consumer("two", ["numbers_"], None)
        fill(bus, topic, 3)
        assert len(self.take(first, 3)) == len(self.take(second, 3)) == 3

    def test_what_was_not_committed_comes_again(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 6)
        self.take(consumer, 5)
        consumer.commit(at(2))
        consumer.close()
        again = bus.consumer("g", ["numbers_"], None)
        assert [record.offset for record in self.take(again, 4)] == [2, 3, 4, 5]

    def test_commits_are_kept_per_group(self, bus: Bus, topic: str) -> None:
        source = TopicPartition(topic, 0)
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 2)
        self.take(consumer, 2)
        consumer.commit(at(2))
        assert bus.committed("g", source).offset == 2
        assert bus.committed("never seen", source).offset == 0
        assert bus.positions("g") == {source: Position(2)}
        assert bus.positions("never seen") == {}
        assert bus.positions("g") == {source: Position(2)}
        assert bus.positions("never seen") == {}
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
        members: list[Consumer] = [bus.consumer("g", ["shared_"], None) for _ in range(2)]
        self.settle(*members)
        producer = bus.producer()
        for partition in range(4):
            fill(bus, "shared_a", 3, partition=partition, producer=producer)
        taken = self.share(members, 12)
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
            zombie.commit(at(2))
        assert bus.committed("g", TopicPartition(topic, 0)).offset == 0

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
        bus.create_topic("small_a", TopicSpec(capacity=2, readers=("g",)))
        consumer = bus.consumer("g", ["small_"], None)
        fill(bus, "small_a", 2)
        producer = threading.Thread(target=fill, args=(bus, "small_a", 1, 2))
        producer.start()
        producer.join(0.2)
        assert producer.is_alive()
        self.take(consumer, 1)
        consumer.commit(at(1, "small_a"))
        producer.join(self.PATIENCE)
        assert not producer.is_alive()
        assert bus.end_offset(TopicPartition("small_a", 0)) == 3

    def test_a_topic_that_stays_full_is_an_error(self, bus: Bus) -> None:
        bus.create_topic("small_a", TopicSpec(capacity=1, readers=("g",)))
        bus.consumer("g", ["small_"], None)
        fill(bus, "small_a", 1)
        with pytest.raises(TopicFull, match="small_a"):
            fill(bus, "small_a", 1)

    def test_one_slow_group_holds_the_records_of_all(self, bus: Bus, topic: str) -> None:
        fast = bus.consumer("fast", ["numbers_"], None)
        slow = bus.consumer("slow", ["numbers_"], None)
        fill(bus, topic, 3)
        self.take(fast, 3)
        fast.commit(at(3))
        assert [record.offset for record in self.take(slow, 3)] == [0, 1, 2]

    def test_topics_take_turns(self, bus: Bus) -> None:
        for name in ("turn_a", "turn_b"):
            bus.create_topic(name, TopicSpec())
        consumer = bus.consumer("g", ["turn_"], None)
        self.settle(consumer)
        fill(bus, "turn_a", 100)
        fill(bus, "turn_b", 3)
        self.settle(consumer)
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
        consumer.commit(at(1))
        bus.delete_topic(topic)
        bus.delete_topic(topic)
        assert topic not in bus.topics()
        with pytest.raises(UnknownTopic):
            fill(bus, topic, 1)
        with pytest.raises(UnknownTopic):
            bus.end_offset(source)
        bus.create_topic(topic, TopicSpec())
        assert bus.committed("g", source).offset == 0

    def test_a_topic_made_anew_is_read_from_its_start(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 5)
        self.take(consumer, 5)
        bus.delete_topic(topic)
        self.settle(consumer)
        bus.create_topic(topic, TopicSpec())
        fill(bus, topic, 7)
        assert [record.offset for record in self.take(consumer, 7)] == list(range(7))

    def test_the_topics_of_a_task_go_to_the_same_member(self, bus: Bus) -> None:
        names = [f"{stage}_{task}" for stage in ("left", "right") for task in "abcdef"]
        for name in names:
            bus.create_topic(name, TopicSpec())
        members = [bus.consumer("g", ["left_", "right_"], None) for _ in range(3)]
        self.settle(*members)
        producer = bus.producer()
        for name in names:
            fill(bus, name, 1, producer=producer)
        taken = [{r.topic for r in records} for records in self.share(members, len(names))]
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
        threading.Timer(0.1, consumer.commit, [at(2)]).start()
        assert bus.wait_committed(["g"], source, 2, timeout=self.PATIENCE)
        assert not bus.wait_committed(["g", "other"], source, 2, timeout=0.05)

    def test_wakeup_ends_a_poll(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        self.settle(consumer)
        started = time.monotonic()
        threading.Timer(0.1, consumer.wakeup).start()
        assert consumer.poll(1, 30.0) == []
        assert time.monotonic() - started < 10

    def test_a_note_and_a_state_lie_beside_the_offset(self, bus: Bus) -> None:
        bus.create_topic("counted_a", TopicSpec(states=True))
        source = TopicPartition("counted_a", 0)
        assert bus.load_state("g", source) is None
        consumer = bus.consumer("g", ["counted_"], None)
        fill(bus, "counted_a", 3)
        self.take(consumer, 3)
        consumer.commit({source: Position(1, "one", b"\0" * 100_000)})
        consumer.commit({source: Position(2, "two")})
        assert bus.committed("g", source) == Position(2, "two")
        assert bus.load_state("g", source) == b"\0" * 100_000
        assert bus.load_state("other", source) is None
        consumer.commit({source: Position(3, "three", b"small")})
        assert bus.load_state("g", source) == b"small"
        bus.delete_topic("counted_a")
        assert bus.topics() == []

    def test_a_former_owner_cannot_replace_the_state(self, bus: Bus) -> None:
        bus.create_topic("counted_a", TopicSpec(states=True))
        source = TopicPartition("counted_a", 0)
        zombie = bus.consumer("g", ["counted_"], None)
        fill(bus, "counted_a", 2)
        self.take(zombie, 2)
        heir = bus.consumer("g", ["counted_"], None)
        zombie.close()
        assert len(self.take(heir, 2)) == 2
        heir.commit({source: Position(2, "heir", b"heir")})
        with pytest.raises(NotAssigned):
            zombie.commit({source: Position(1, "zombie", b"zombie")})
        assert bus.committed("g", source) == Position(2, "heir")
        assert bus.load_state("g", source) == b"heir"

    def test_a_state_needs_a_topic_made_for_states(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        fill(bus, topic, 1)
        self.take(consumer, 1)
        with pytest.raises(SettingError, match="states"):
            consumer.commit({TopicPartition(topic, 0): Position(1, "", b"state")})

    def test_all_of_a_topic_follows_a_single_leading_partition(self, bus: Bus) -> None:
        for task in "abcd":
            bus.create_topic(f"raw_{task}", TopicSpec(partitions=3))
            bus.create_topic(f"found_{task}", TopicSpec())
        members = [bus.consumer("g", ["raw_", "found_"], None) for _ in range(2)]
        self.settle(*members)
        producer = bus.producer()
        for task in "abcd":
            fill(bus, f"found_{task}", 1, producer=producer)
            for partition in range(3):
                fill(bus, f"raw_{task}", 1, partition=partition, producer=producer)
        taken = self.share(members, 16)
        for records in taken:
            raw = {r.topic for r in records if r.topic.startswith("raw_")}
            assert raw == {r.topic.replace("found", "raw") for r in records} & raw
            assert len(records) == 4 * len({r.topic.rpartition("_")[2] for r in records})

    def test_partitions_follow_their_own(self, bus: Bus) -> None:
        bus.create_topic("raw_a", TopicSpec(partitions=4))
        bus.create_topic("found_a", TopicSpec(partitions=4))
        members = [bus.consumer("g", ["raw_", "found_"], None) for _ in range(2)]
        self.settle(*members)
        producer = bus.producer()
        for partition in range(4):
            fill(bus, "raw_a", 1, partition=partition, producer=producer)
            fill(bus, "found_a", 1, partition=partition, producer=producer)
        taken = self.share(members, 8)
        for records in taken:
            parts = [
                {r.partition for r in records if r.topic == topic} for topic in ("raw_a", "found_a")
            ]
            assert parts[0] == parts[1] != set()

    def test_the_newest_record_can_be_seen(self, bus: Bus, topic: str) -> None:
        source = TopicPartition(topic, 0)
        assert bus.last_record(source) is None
        consumer = bus.consumer("g", ["numbers_"], None)
        started = time.time()
        fill(bus, topic, 3)
        self.take(consumer, 3)
        consumer.commit(at(3))
        last = bus.last_record(source)
        assert last
        assert (last.offset, last.key, last.value) == (2, 2, value(2))
        assert started - 1 < last.timestamp < time.time() + 1

    def test_a_table_shows_the_newest_values(self, bus: Bus) -> None:
        table = bus.table("tasks")
        table.put("a", b"one")
        table.put("b", b"two")
        table.put("a", b"three")
        assert table.get("a") == b"three"
        table.remove("b")
        table.remove("never seen")
        assert table.get("b") is None
        assert bus.table("tasks").items() == {"a": b"three"}
        assert bus.table("other").items() == {}

    def test_a_table_is_followed(self, bus: Bus) -> None:
        seen: list[tuple[str, bytes | None]] = []
        bus.table("tasks").put("a", b"one")
        bus.table("tasks").follow(lambda key, value: seen.append((key, value)))
        bus.table("tasks").put("b", b"two")
        bus.table("tasks").remove("a")
        deadline = time.monotonic() + self.PATIENCE
        while len(seen) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert seen == [("a", b"one"), ("b", b"two"), ("a", None)]

    def test_a_reader_gets_what_is_there_and_what_comes(self, bus: Bus, topic: str) -> None:
        fill(bus, topic, 5)
        reader = bus.reader(TopicPartition(topic, 0), 2)
        assert [record.offset for record in self.take(reader, 3, limit=2)] == [2, 3, 4]
        assert reader.poll(10, 0.1) == []
        fill(bus, topic, 2, start=5)
        records = self.take(reader, 2)
        assert [(each.key, each.value) for each in records] == [(5, value(5)), (6, value(6))]
        reader.close()
        assert reader.poll(10, 30.0) == []

    def test_a_reader_reads_one_partition(self, bus: Bus) -> None:
        bus.create_topic("shared_a", TopicSpec(partitions=3))
        reader = bus.reader(TopicPartition("shared_a", 1), 0)
        for partition in range(3):
            fill(bus, "shared_a", 2, start=10 * partition, partition=partition)
        assert [each.key for each in self.take(reader, 2)] == [10, 11]
        assert reader.poll(10, 0.3) == []
        reader.close()

    def test_a_reader_waits_for_an_offset_that_is_yet_to_come(self, bus: Bus, topic: str) -> None:
        fill(bus, topic, 2)
        reader = bus.reader(TopicPartition(topic, 0), 4)
        assert reader.poll(10, 0.5) == []
        fill(bus, topic, 4, start=2)
        assert [record.offset for record in self.take(reader, 2)] == [4, 5]
        reader.close()

    def test_a_reader_takes_nothing_from_the_groups(self, bus: Bus, topic: str) -> None:
        consumer = bus.consumer("g", ["numbers_"], None)
        readers = [bus.reader(TopicPartition(topic, 0), 0) for _ in range(2)]
        fill(bus, topic, 3)
        for each in (*readers, consumer):
            assert [record.offset for record in self.take(each, 3)] == [0, 1, 2]
        for reader in readers:
            reader.close()

    def test_a_reader_holds_nothing_back(self, bus: Bus) -> None:
        bus.create_topic("small_a", TopicSpec(capacity=4, readers=("g",)))
        source = TopicPartition("small_a", 0)
        consumer = bus.consumer("g", ["small_"], None)
        idle = bus.reader(source, 0)
        for start in range(0, 40, 4):
            fill(bus, "small_a", 4, start=start)
            self.take(consumer, 4)
            consumer.commit(at(start + 4, "small_a"))
        fill(bus, "small_a", 2, start=40)
        held = self._held(bus, source, 42)
        assert held[0] > 0
        assert held == list(range(held[0], 42)), "from the oldest that is held, without a gap"
        found = [record.offset for record in self.take(idle, 2)]
        assert found == sorted(found) and found[-1] < 42
        idle.close()

    def _held(self, bus: Bus, source: TopicPartition, end: int) -> list[int]:
        """Offsets that a new reader gets, once something was let go."""
        deadline = time.monotonic() + self.PATIENCE
        while True:
            reader = bus.reader(source, 0)
            offsets: list[int] = []
            while (not offsets or offsets[-1] < end - 1) and time.monotonic() < deadline:
                offsets += [record.offset for record in reader.poll(100, 0.1)]
            reader.close()
            if offsets[0] > 0 or time.monotonic() > deadline:
                return offsets

    def test_a_reader_hears_that_its_topic_is_gone(self, bus: Bus, topic: str) -> None:
        source = TopicPartition(topic, 0)
        with pytest.raises(UnknownTopic):
            bus.reader(TopicPartition("numbers_never", 0), 0)
        with pytest.raises(UnknownTopic):
            bus.reader(TopicPartition(topic, 1), 0)
        fill(bus, topic, 2)
        reader = bus.reader(source, 0)
        assert len(self.take(reader, 2)) == 2
        threading.Timer(0.3, bus.delete_topic, [topic]).start()
        started = time.monotonic()
        with pytest.raises(UnknownTopic, match=topic):
            reader.poll(1, self.PATIENCE)
        assert time.monotonic() - started < self.PATIENCE
        bus.create_topic(topic, TopicSpec())
        with pytest.raises(UnknownTopic):
            reader.poll(1, 0.0)
        reader.close()

    def test_readers_leave_no_thread_behind(self, bus: Bus, topic: str) -> None:
        fill(bus, topic, 1)
        source = TopicPartition(topic, 0)
        before = psutil.Process().num_threads()
        readers = [bus.reader(source, 0) for _ in range(3)]
        for reader in readers:
            assert len(self.take(reader, 1)) == 1
        for reader in readers:
            reader.close()
            reader.close()
        assert psutil.Process().num_threads() <= before

    def test_a_bus_that_answers_is_ready(self, bus: Bus) -> None:
        bus.ready()
