"""What one viewer of a task's frames is sent, message by message."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog

from contanos.errors import ContanosError
from contanos.messages import SCHEMA, encode
from video_analysis.backend.live.hub import Hub
from video_analysis.backend.live.meter import LiveMeter
from video_analysis.backend.live.ring import Ring

_AT_ONCE = 16  # frames taken off the ring
_LOOK = 0.2  # seconds between two looks whether a frame is stored by now

log = structlog.get_logger(__name__)

T = TypeVar("T")

Send = Callable[[str], Awaitable[None]]


class Viewer:
    """Begins with what is stored, at its own pace, and goes on with what comes.

    Once it has caught up it must keep up: where the ring has let go of its next frame, it is
    dropped to the newest one.

    Args:
        hub: of the task.
        since: the first frame that is wanted; None for the newest.
        send: takes one message to the client; as slow as that is.
        meter: counts what is missed.
    """

    def __init__(self, hub: Hub, since: int | None, send: Send, meter: LiveMeter) -> None:
        self._hub = hub
        self._next = None if since is None else max(since, hub.first_frame)
        self._send = send
        self._meter = meter
        self._caught_up: Ring | None = None

    async def run(self) -> None:
        """Return once the end of the stream was sent."""
        while not await self._step():
            continue

    async def _step(self) -> bool:
        """Send what there is, or wait; whether that was the end."""
        changed, ring = self._hub.changed, self._hub.ring
        if self._next is None and ring:
            self._next = max(ring.next - 1, self._hub.first_frame)
        if self._next is None:
            await changed.wait()
            return False
        texts = ring.since(self._next, _AT_ONCE) if ring else None
        if texts is None:
            await self._reach(ring, changed)
        elif texts:
            self._caught_up = ring
            await self._send_frames(texts)
        elif end := self._hub.end:
            await self._send(encode(end).decode())
            return True
        else:
            await changed.wait()
        return False

    async def _reach(self, ring: Ring | None, changed: asyncio.Event) -> None:
        """The next frame is in no ring: it is too late for it, or too early, or it is stored."""
        if ring and self._caught_up is ring:
            self._meter.dropped.inc(await self._drop_to(ring.next - 1))
        elif not await self._send_stored():
            if ring and self._hub.final:
                await self._drop_to(ring.first)  # of a task that failed nothing is kept
            else:
                await _wait(changed)

    async def _send_stored(self) -> bool:
        """Whether there was anything."""
        begun = self._next
        stored = await self._tried(self._hub.stored(self._at))
        if stored is None:
            return False
        try:
            pieces = stored.texts(self._at)
            while texts := await self._tried(self._hub.in_thread(next, pieces, None)):
                await self._send_frames(texts)
        finally:
            stored.close()
        return self._next != begun

    async def _tried(self, reading: Awaitable[T | None]) -> T | None:
        """What was read; None where it cannot be."""
        try:
            return await reading
        except (ContanosError, OSError) as e:
            log.warning("frames cannot be read", frame_id=self._next, cause=str(e))
            return None

    async def _send_frames(self, texts: list[str]) -> None:
        for text in texts:
            await self._send(text)
            self._next = self._at + 1

    async def _drop_to(self, frame_id: int) -> int:
        """How many frames are missed by that."""
        missed, self._next = frame_id - self._at, frame_id
        await self._send(msgspec.json.encode({"schema": SCHEMA, "dropped": missed}).decode())
        return missed

    @property
    def _at(self) -> int:
        assert self._next is not None
        return self._next


async def _wait(changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_LOOK):
            await changed.wait()
    except TimeoutError:
        return
