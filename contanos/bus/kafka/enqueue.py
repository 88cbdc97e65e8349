"""Hands a record to a producer's queue."""

import time

from confluent_kafka import KafkaException, Producer

from contanos.bus.kafka.faults import NO_TOPIC, described, error_of, passing
from contanos.errors import BusError, UnknownTopic

_SECONDS = 60.0  # that a full queue may take to become shorter
_KNOWN_SECONDS = 5.0  # that the brokers may take to tell each other of a new topic


def enqueue(client: Producer, topic: str, **record: object) -> None:
    """Queue a record; delivery is reported to its `on_delivery`.

    Args:
        client: serves delivery reports meanwhile.
        topic: as the brokers know it.
        record: what else `Producer.produce` takes.

    Raises:
        UnknownTopic: the brokers do not know the topic, or its partition.
        BusError: the queue stays full, or the record is too large.
    """
    started = time.monotonic()
    while True:
        try:
            client.produce(topic, **record)  # type: ignore[arg-type]
        except BufferError as e:
            if time.monotonic() > started + _SECONDS:
                raise BusError(f"cannot send to {topic}: the brokers take nothing") from e
            client.poll(0.05)
        except KafkaException as e:
            error = error_of(e)
            if error.code() not in NO_TOPIC:
                raise BusError(described(f"send to {topic}", error)) from e
            if time.monotonic() > started + _KNOWN_SECONDS:
                raise UnknownTopic(described(f"send to {topic}", error)) from e
            _look_again(client, topic)
        else:
            return


def _look_again(client: Producer, topic: str) -> None:
    """The client may remember that an earlier topic of this name was deleted."""
    try:
        client.list_topics(topic=topic, timeout=1.0)
    except KafkaException as e:
        if not passing(error_of(e)):
            raise
    time.sleep(0.02)
