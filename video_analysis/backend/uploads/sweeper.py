"""Removes what nobody will come back for, and goes on with what was cut off by a crash.

A row is there before its bytes come, and gone before they go. So bytes without a row are nobody's,
whenever they are found; they are looked for before rows are read.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from contanos.errors import ContanosError
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import Upload
from video_analysis.backend.state import State
from video_analysis.backend.storage.contract import UPLOADS, upload_name
from video_analysis.backend.uploads.books import complete, in_states, read
from video_analysis.backend.uploads.faults import Busy, Gone
from video_analysis.backend.uploads.receive import discard

_PAUSE = 60.0  # seconds between sweeps

log = structlog.get_logger(__name__)


class Sweeper:
    """Sweeps again and again.

    Args:
        state: of the application.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except (ContanosError, SQLAlchemyError, OSError) as e:
                log.warning("uploads could not be swept", cause=str(e))
            await asyncio.sleep(_PAUSE)

    async def sweep(self) -> None:
        """Once."""
        incoming = await self._state.uploads.incoming.ids()
        kept = {each.rpartition("/")[2] for each in await self._state.storage.names(UPLOADS)}
        rows = await in_states(self._state.database, "receiving", "checking", "ready", "refused")
        living = {each.id for each in rows if each.state in ("receiving", "checking")}
        whole = {each.id for each in rows if each.state in ("checking", "ready")}
        for each in incoming - living:
            log.info("removing what is left of an upload on its way", upload_id=each)
            await self._state.uploads.incoming.remove(each)
        for each in kept - whole:
            log.info("removing what is left of an upload", upload_id=each)
            await self._state.storage.remove(upload_name(each))
        for row in rows:
            with suppress(Busy, Gone):  # somebody is at it
                await self._look_at(row)
        await self._state.storage.sweep()

    async def _look_at(self, upload: Upload) -> None:
        if upload.state == "checking" or (upload.state, upload.source) == ("receiving", "url"):
            self._state.uploads.begin(upload.id)
        elif upload.state == "refused" and self._is_old(upload):
            await discard(self._state, upload.id)
        elif upload.state == "receiving":
            async with self._state.uploads.incoming.held(upload.id):
                await self._look_at_idle(upload.id)

    async def _look_at_idle(self, upload_id: str) -> None:
        """One that nobody sends now: a form was cut off for good; a whole one was not noted."""
        upload = await read(self._state.database, upload_id)
        if upload is None or upload.state != "receiving":
            return
        size = await self._state.uploads.incoming.size(upload_id)
        if upload.source == "form" or self._is_old(upload):
            await discard(self._state, upload_id)
        elif size == upload.bytes:
            await complete(self._state.database, upload_id, size)
            self._state.uploads.begin(upload_id)

    def _is_old(self, upload: Upload) -> bool:
        return now() - upload.touched > timedelta(hours=self._state.settings.upload_hours)


@asynccontextmanager
async def attended(state: State) -> AsyncIterator[None]:
    """Uploads are looked after as long as the block runs."""
    sweeping = asyncio.create_task(Sweeper(state).run(), name="sweeper")
    try:
        yield
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await state.uploads.close()
