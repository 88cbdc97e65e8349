"""An answer that many ask for and that costs something: asked once, shown to all for a while."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from contanos.errors import ContanosError

T = TypeVar("T")


class Recent(Generic[T]):
    """What `ask` said lately. Safe from any thread; only one asks at a time.

    A failure is remembered as an answer is: who cannot be reached is not helped by more questions.

    Args:
        ask: gives the answer, or raises one of our errors.
        seconds: how long an answer serves.
        clock: seconds that never run backwards.
    """

    def __init__(
        self, ask: Callable[[], T], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._answer: Callable[[], T]

    def get(self) -> T:
        """The answer.

        Raises:
            ContanosError: `ask` did.
        """
        with self._lock:
            if self._clock() >= self._until:
                self._answer = self._asked()
                self._until = self._clock() + self._seconds
        return self._answer()

    def _asked(self) -> Callable[[], T]:
        try:
            answer = self._ask()
        except ContanosError as e:
            kind, message = type(e), str(e)

            def fail() -> T:
                raise kind(message)

            return fail
        return lambda: answer
