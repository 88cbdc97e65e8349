"""Servers that are stopped in the middle of a step, for good or for a while."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from contanos.errors import BusError

_REACHED_SECONDS = 60.0
_LOOK = 0.01


class Point(NamedTuple):
    """A moment: a call of a function, before or after what it does.

    Attributes:
        owner: module or class that has it.
        name: of the function.
        after: on which side of it.
        nth: which of its calls.
    """

    owner: Any
    name: str
    after: bool = False
    nth: int = 1

    def __str__(self) -> str:
        side = "after" if self.after else "before"
        return f"{side} {self.owner.__name__.rpartition('.')[2]}.{self.name} ({self.nth})"


def before(owner: Any, name: str, nth: int = 1) -> Point:
    return Point(owner, name, False, nth)


def after(owner: Any, name: str, nth: int = 1) -> Point:
    return Point(owner, name, True, nth)


class Held:
    """Whoever comes to a point waits there until `let_go`.

    Args:
        point: where.
    """

    def __init__(self, point: Point) -> None:
        self._point = point
        self._calls = 0
        self._dead = False
        self._here = threading.Event()
        self._go_on = threading.Event()

    def wait_with(self, patch: pytest.MonkeyPatch) -> None:
        """From now on, until `patch` is undone."""
        owner, name = self._point.owner, self._point.name
        real = getattr(owner, name)
        made = self._slow if inspect.iscoroutinefunction(real) else self._blocking
        patch.setattr(owner, name, made(real))

    async def reached(self) -> None:
        """Return once somebody waits there."""
        deadline = time.monotonic() + _REACHED_SECONDS
        while not self._here.is_set():
            assert time.monotonic() < deadline, f"nobody came to the point {self._point}"
            await asyncio.sleep(_LOOK)

    def let_go(self) -> None:
        """They go on."""
        self._go_on.set()

    def end(self) -> None:
        """They never go on: their server is dead."""
        self._dead = True
        self._go_on.set()

    def _hits(self) -> bool:
        self._calls += 1
        return self._calls == self._point.nth

    def _slow(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def held(*args: Any, **kwargs: Any) -> Any:
            hits = self._hits()
            if hits and not self._point.after:
                await self._wait()
            answer = await real(*args, **kwargs)
            if hits and self._point.after:
                await self._wait()
            return answer

        return held

    def _blocking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """For what runs in a thread."""

        def held(*args: Any, **kwargs: Any) -> Any:
            hits = self._hits()
            if hits and not self._point.after:
                self._block()
            answer = real(*args, **kwargs)
            if hits and self._point.after:
                self._block()
            return answer

        return held

    async def _wait(self) -> None:
        self._here.set()
        while not self._go_on.is_set():
            await asyncio.sleep(_LOOK)

    def _block(self) -> None:
        self._here.set()
        self._go_on.wait()
        if self._dead:
            raise BusError("the server is dead")
