"""What librdkafka, the client library below, has to say."""

import logging

import structlog
from confluent_kafka import KafkaError

log = structlog.get_logger(__name__)


class Journal:
    """Takes the library's log lines and errors.

    It tries again by itself whatever can be tried again, and warns each time; what it gives up on
    reaches the caller as an error. So its warnings are for whoever looks for a cause.

    Attributes:
        cause: the last error, in its words; empty where there was none.
    """

    def __init__(self) -> None:
        self.cause = ""

    def log(self, level: int, text: str, *args: object) -> None:
        """One line, at one of `logging`'s levels."""
        say = log.warning if level >= logging.ERROR else log.debug
        say("kafka client", text=text % args)

    def error(self, error: KafkaError) -> None:
        """An error that belongs to no call, as a lost connection."""
        self.cause = error.str()
        log.debug("kafka client", error=error.name(), cause=self.cause)
