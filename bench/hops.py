"""How long a record is on its way over the bus: from before `send` until `poll` returns it.

Sender and receiver are two threads of this process, each with a bus of its own, so one clock times
both; the way leads through the broker all the same. Writing and reading the record count.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice

import numpy as np

from contanos.bus import Bus, Position, TopicPartition, TopicSpec, open_bus
from contanos.bus.topics import topic_name, topic_prefix
from contanos.errors import BusError
from contanos.video.codec import FrameCodec
from contanos.video.group import FrameGroup
from contanos.video.source import VideoSource
from video_analysis.settings import Settings

STAGE = "hop"
NAMESPACE = "hops"  # apart from the services, whose reconciler sweeps what it does not know
WARM_UP = 20  # records

_ARRIVES = 30.0  # seconds within which a record must be there


def milliseconds(url: str, values: Sequence[object], rate: float, count: int) -> list[float]:
    """Of `count` records, one after the other.

    Args:
        url: of the bus, without a namespace.
        values: what is sent, again and again.
        rate: records a second.
        count: how many are timed.

    Raises:
        BusError: one did not arrive.
    """
    topic = topic_name(STAGE, "0")
    with _bus(url) as near, _bus(url) as far:
        near.create_topic(topic, TopicSpec())
        try:
            receiver = _Receiver(far, WARM_UP + count)
            sent = list(_send(near, topic, islice(cycle(values), WARM_UP + count), rate, receiver))
            arrived = receiver.wait()
        finally:
            near.delete_topic(topic)
    return [1000 * (arrived[key] - sent[key]) for key in range(WARM_UP, WARM_UP + count)]


def commits(url: str, value: object, count: int) -> list[float]:
    """Milliseconds that a stage stands still for `count` commits: send, flush, commit.

    Raises:
        BusError: the group did not get its partition.
    """
    source = TopicPartition(topic_name(STAGE, "1"), 0)
    with _bus(url) as bus:
        bus.create_topic(source.topic, TopicSpec())
        try:
            consumer, producer = (
                bus.consumer("commits", [topic_prefix(STAGE)], None),
                bus.producer(),
            )
            producer.send(source.topic, 0, value)
            if not consumer.poll(1, _ARRIVES):
                raise BusError("the first record did not arrive")
            times = []
            for number in range(WARM_UP + count):
                started = time.perf_counter()
                producer.send(source.topic, number, value)
                producer.flush()
                consumer.commit({source: Position(number)})
                times.append(1000 * (time.perf_counter() - started))
            consumer.close()
        finally:
            bus.delete_topic(source.topic)
    return times[WARM_UP:]


def percentiles(times: Sequence[float]) -> str:
    """Median and 99th, as two cells of a table."""
    return " | ".join(f"{each:.1f}" for each in np.percentile(times, (50, 99)))


def groups(source: VideoSource, codec: FrameCodec, most: int) -> list[FrameGroup]:
    """The first records of a video."""
    return list(islice(codec.groups(source), most))


class _Receiver(threading.Thread):
    """Notes when each record arrives."""

    def __init__(self, bus: Bus, expected: int) -> None:
        super().__init__(name="receiver", daemon=True)
        self.first = threading.Event()
        self._arrived: dict[int, float] = {}
        self._expected = expected
        self._consumer = bus.consumer("hops", [topic_prefix(STAGE)], None)
        self.start()

    def run(self) -> None:
        seen = time.monotonic()
        while len(self._arrived) < self._expected and time.monotonic() - seen < _ARRIVES:
            for record in self._consumer.poll(64, 0.5):
                seen = time.monotonic()
                self._arrived[record.key] = time.perf_counter()
                self.first.set()
        self._consumer.close()

    def wait(self) -> dict[int, float]:
        """When each record arrived, by its number."""
        self.join()
        if len(self._arrived) < self._expected:
            raise BusError(f"{len(self._arrived)} of {self._expected} records arrived")
        return self._arrived


def _send(
    bus: Bus, topic: str, values: Iterable[object], rate: float, receiver: _Receiver
) -> Iterator[float]:
    """When each value was sent; the second one goes out once the first was received."""
    producer = bus.producer()
    due = time.perf_counter()
    for number, value in enumerate(values):
        time.sleep(max(0.0, due - time.perf_counter()))
        yield time.perf_counter()
        producer.send(topic, number, value)
        if number == 0:
            producer.flush()
            receiver.first.wait(_ARRIVES)
            due = time.perf_counter()
        due += 1 / rate
    producer.flush()


@contextmanager
def _bus(url: str) -> Iterator[Bus]:
    bus = open_bus(f"{url}/{NAMESPACE}", Settings().kafka)
    try:
        yield bus
    finally:
        bus.close()
