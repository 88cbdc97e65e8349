"""Appends one record at a time and answers once it is acknowledged: for tables and states."""

import threading
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contanos.bus.kafka.config import DELIVERY_SECONDS, Configs
from contanos.bus.kafka.enqueue import enqueue
from contanos.bus.kafka.faults import NO_TOPIC, described, error_of
from contanos.errors import BusError, UnknownTopic

_SLICE = 0.1  # seconds in which the thread notices that it is to end


class Appender:
    """One producer for all threads of a bus; a thread of its own takes the acknowledgements."""

    def __init__(self, configs: Configs) -> None:
        self._client = Producer(configs.producer() | {"linger.ms": 0})
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kafka-append", daemon=True)
        self._thread.start()

    def append(self, topic: str, key: bytes, value: bytes | None) -> int:
        """Append to the topic's first partition.

        Args:
            topic: as the brokers know it.
            key: what compaction goes by.
            value: None removes the key.

        Returns:
            The record's offset.

        Raises:
            UnknownTopic: the topic does not exist.
            BusError: the brokers did not take it.
        """
        acknowledged: Future[int] = Future()

        def delivered(error: KafkaError | None, message: "Message[bytes, bytes]") -> None:
            if error:
                acknowledged.set_exception(KafkaException(error))
            else:
                acknowledged.set_result(message.offset() or 0)

        try:
            enqueue(self._client, topic, value=value, key=key, partition=0, on_delivery=delivered)
            return acknowledged.result(DELIVERY_SECONDS + 10)
        except KafkaException as e:
            error = error_of(e)
            kind = UnknownTopic if error.code() in NO_TOPIC else BusError
            raise kind(described(f"write to {topic}", error)) from e
        except TimeoutError as e:
            raise BusError(f"cannot write to {topic}: too much waits for the brokers") from e

    def close(self) -> None:
        """What is not acknowledged by now fails."""
        if not self._closed.is_set():
            self._client.purge()
            self._closed.set()
            self._thread.join()
            self._client.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._client.poll(_SLICE)
        self._client.poll(0)
