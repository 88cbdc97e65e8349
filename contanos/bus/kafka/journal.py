"""What librdkafka, the client library below, has to say."""

import logging
import threading
import time
from collections import Counter

import structlog
from confluent_kafka import KafkaError

log = structlog.get_logger(__name__)

_QUIET = 10.0  # seconds between two warnings


class Journal:
    """Takes the library's log lines and errors.

    It tries again by itself whatever can be tried again, and warns each time; what it gives up on
    reaches the caller as an error. So its warnings are for whoever looks for a cause.

    Attributes:
        cause: the last error that says why, in its words; empty where there was none.
    """

    def __init__(self) -> None:
        self.cause = ""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._quiet_until = 0.0

    def count(self, what: str, amount: int = 1) -> None:
        """Add to one of the totals that `counts` gives."""
        with self._lock:
            self._counts[what] += amount

    @property
    def counts(self) -> dict[str, float]:
        """Totals since the start: bytes of values sent and received, errors, requests repeated."""
        names = ("bytes_sent", "bytes_received", "errors", "retries")
        with self._lock:
            return {name: float(self._counts[name]) for name in names}

    def log(self, level: int, text: str, *args: object) -> None:
        """One line, at one of `logging`'s levels.

        While a broker is away each client complains many times a second: one warning in a while
        tells as much, and the others are there for who debugs.
        """
        say = log.warning if level >= logging.ERROR and self._due() else log.debug
        say("kafka client", text=text % args)

    def error(self, error: KafkaError) -> None:
        """An error that belongs to no call, as a lost connection."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self.cause:  # it says not why
            self.cause = error.str()
        self.count("errors")
        log.debug("kafka client", error=error.name(), cause=error.str())

    def _due(self) -> bool:
        with self._lock:
            due = time.monotonic() >= self._quiet_until
            if due:
                self._quiet_until = time.monotonic() + _QUIET
            return due
