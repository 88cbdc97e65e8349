"""Whether what the control plane works with can be reached."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass

import structlog
from anyio import to_thread
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from contanos.errors import ContanosError
from video_analysis.backend.database.tables import User
from video_analysis.backend.state import State

_SERVES = 1.0  # seconds that one look serves everybody
_PATIENCE = 5.0  # seconds for an answer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reached:
    """What was reached."""

    database: bool
    storage: bool
    bus: bool

    @property
    def all(self) -> bool:
        """Whether nothing is missing."""
        return False not in astuple(self)


class Reach:
    """Looks at most once a second, however many ask: anybody may.

    Args:
        state: of the application.
        clock: seconds that never run backwards.
    """

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._turn = asyncio.Lock()
        self._until = float("-inf")
        self._reached = Reached(False, False, False)

    async def look(self) -> Reached:
        """What can be reached now."""
        async with self._turn:
            if self._clock() >= self._until:
                self._reached = await self._look()
                self._until = self._clock() + _SERVES
            return self._reached

    async def _look(self) -> Reached:
        database, storage, bus = await asyncio.gather(
            _answers("database", self._ask_database),
            _answers("storage", self._state.storage.ready),
            _answers("bus", self._ask_bus),
        )
        return Reached(database, storage, bus)

    async def _ask_database(self) -> None:
        async with self._state.database.reading() as session:
            await session.scalar(select(User.id).limit(1))

    async def _ask_bus(self) -> None:
        await to_thread.run_sync(self._state.desk.bus.ready, abandon_on_cancel=True)


async def _answers(name: str, ask: Callable[[], Awaitable[None]]) -> bool:
    """The cause goes to the log alone: it may name hosts and folders."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await ask()
    except (ContanosError, SQLAlchemyError, OSError) as e:  # a timeout is an OSError
        log.warning("not reached", what=name, cause=str(e) or type(e).__name__)
        return False
    return True
