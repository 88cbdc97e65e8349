"""Questions to the desk, whose answers take as long as brokers are away."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

_THREADS = 4

Answer = TypeVar("Answer")


class Asking:
    """Asks in threads of its own, so that uploads and logins do not wait for brokers."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(_THREADS)

    async def __call__(self, question: Callable[..., Answer], *about: object) -> Answer:
        """The answer; whoever does not wait for it leaves the question to be answered."""
        return await to_thread.run_sync(
            question, *about, abandon_on_cancel=True, limiter=self._threads
        )
