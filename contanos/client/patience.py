"""How long to try again, and how often."""

import random
import time
from collections.abc import Callable

from contanos.errors import ServerError, TryLater

_FIRST, _LONGEST = 0.2, 10.0  # seconds between two attempts


class Patience:
    """Waits between attempts, longer each time, and gives up in the end.

    Args:
        seconds: after which it does, counted from now or the last `renew`.
        clock: seconds that never run backwards.
        sleep: waits so many of them.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self.renew()

    def renew(self) -> None:
        """Something was achieved: begin anew."""
        self._until = self._clock() + self._seconds
        self._pause = _FIRST

    def shorten(self, seconds: float) -> None:
        """Give up after so many seconds from now, at the latest."""
        self._until = min(self._until, self._clock() + seconds)

    def wait(self, fault: ServerError) -> None:
        """Wait before the next attempt: as long as the server asks, or a little longer each time.

        Args:
            fault: of the last attempt.

        Raises:
            ServerError: `fault` itself, where that would be too long.
        """
        asked = fault.seconds if isinstance(fault, TryLater) else None
        pause = self._pause * random.uniform(0.5, 1.0) if asked is None else asked
        if self._clock() + pause > self._until:
            raise fault
        self._pause = min(self._pause * 2, _LONGEST)
        self._sleep(pause)
