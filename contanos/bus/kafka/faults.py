"""The brokers' errors: which pass by themselves, and what they are called here."""

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException

from contanos.errors import BusError

log = structlog.get_logger(__name__)
T = TypeVar("T")

_PAUSE = 0.05  # seconds before the first repeat; doubled each time
_LONGEST_PAUSE = 1.0

_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
    KafkaError._WAIT_CACHE,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.INVALID_REPLICATION_FACTOR,  # said while brokers come back, too
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
}

NO_TOPIC = {
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
}

_FORBIDDEN = {
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
}


def error_of(exception: KafkaException) -> KafkaError:
    """What the exception carries."""
    error = exception.args[0]
    assert isinstance(error, KafkaError)
    return error


def passing(error: KafkaError) -> bool:
    """Whether the same request may succeed a little later."""
    return error.code() in _PASSING or (error.retriable() and error.code() not in NO_TOPIC)


def lasting(error: KafkaError) -> bool:
    """Whether a consumer that is told of it will never read on by itself."""
    return error.fatal() or error.code() in _FORBIDDEN


def described(what: str, error: KafkaError) -> str:
    """A message for a person: what could not be done and why."""
    return f"cannot {what}: {error.str()} ({error.name()})"


class Endurance:
    """Repeats requests that fail for reasons which pass, with longer and longer pauses.

    Args:
        repeats: called for each repeat.

    Attributes:
        seconds: how long.
        closed: ends all waiting.
    """

    def __init__(self, seconds: float, repeats: Callable[[], None] = lambda: None) -> None:
        self.seconds = seconds
        self._repeats = repeats
        self.closed = Event()

    def ask(self, what: str, request: Callable[[], T]) -> T:
        """What `request` answers.

        Args:
            what: completes "cannot ...", for the error.
            request: raises KafkaException where the broker does not answer, or refuses.

        Raises:
            BusError: it went on failing.
            KafkaException: it failed for a reason that does not pass.
        """
        pauses = self.pauses(what)
        while True:
            try:
                return request()
            except KafkaException as e:
                if not passing(error_of(e)):
                    raise
                pauses(error_of(e))

    def pauses(self, what: str) -> Callable[[KafkaError], None]:
        """A function to call after each failure: it waits, or raises BusError in the end."""
        deadline = time.monotonic() + self.seconds
        pause = _PAUSE

        def wait(error: KafkaError) -> None:
            nonlocal pause
            if time.monotonic() > deadline:
                raise BusError(
                    f"{described(what, error)}; tried for {self.seconds:g} s: do the brokers run?"
                )
            self._repeats()
            log.debug("broker asked again", what=what, error=error.name())
            if self.closed.wait(pause):
                raise BusError(f"cannot {what}: the bus was closed")
            pause = min(2 * pause, _LONGEST_PAUSE)

        return wait
