"""What becomes of uploads without their users: fetched, checked, kept.

Each is a step that may be cut off anywhere: it is done again by whoever finds it not done.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path

import structlog
from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError

from contanos.errors import ContanosError, InputError, OutputError
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import Upload
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import upload_name
from video_analysis.backend.uploads.books import change, complete, note, read, refuse
from video_analysis.backend.uploads.check import look_at
from video_analysis.backend.uploads.faults import Busy, Gone
from video_analysis.backend.uploads.fetch import fetching
from video_analysis.backend.uploads.incoming import Incoming
from video_analysis.backend.uploads.media import media_file
from video_analysis.backend.uploads.room import Room
from video_analysis.backend.uploads.sink import appending, pour

_LOOKS_AT_ONCE = 2
_FETCHES_AT_ONCE = 4

log = structlog.get_logger(__name__)


class Intake:
    """Takes uploads in.

    Args:
        settings: of the control plane.
        database: where they are written down.
        storage: where they are kept.

    Attributes:
        incoming: where they are until then.
    """

    def __init__(self, settings: BackendSettings, database: Database, storage: Storage) -> None:
        self.incoming = Incoming(settings.data_dir / "incoming")
        self._settings = settings
        self._database = database
        self._storage = storage
        self._running: dict[str, asyncio.Task[None]] = {}
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._fetches = asyncio.Semaphore(_FETCHES_AT_ONCE)

    def begin(self, upload_id: str) -> None:
        """Do what is next for an upload, in the background; again does no harm."""
        if upload_id not in self._running:
            task = asyncio.create_task(self._go_on(upload_id), name=f"upload {upload_id}")
            self._running[upload_id] = task
            task.add_done_callback(lambda _: self._running.pop(upload_id, None))

    async def close(self) -> None:
        """Leave everything as it is."""
        running = list(self._running.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def forget(self, upload_id: str) -> None:
        """Remove an upload's bytes, wherever they are; its row is gone, or says `refused`."""
        await self.incoming.remove(upload_id)
        await self._storage.remove(upload_name(upload_id))

    async def _go_on(self, upload_id: str) -> None:
        """The boundary of a task: one upload's trouble is no other's; the sweeper tries again."""
        try:
            async with self.incoming.held(upload_id) as path:
                await self._step(upload_id, path)
        except Busy:
            pass  # whoever holds it goes on with it
        except Gone:
            await self.forget(upload_id)
        except (ContanosError, SQLAlchemyError, OSError) as e:
            log.warning("an upload waits", upload_id=upload_id, cause=str(e))

    async def _step(self, upload_id: str, path: Path) -> None:
        upload = await read(self._database, upload_id)
        if upload is None:
            raise Gone(upload_id)
        fetched = upload.state == "receiving" and upload.source == "url"
        try:
            if fetched:
                async with self._fetches:
                    await self._fetch(upload, path)
            if fetched or upload.state == "checking":
                async with self._looks:
                    await self._check(upload, path)
        except Gone:
            raise
        except InputError as e:
            await self._refuse(upload_id, str(e))

    async def _fetch(self, upload: Upload, path: Path) -> None:
        """From the start: a source need not be able to go on in the middle."""
        hours = self._settings.upload_hours
        try:
            async with asyncio.timeout(hours * 3600):
                await self._fetch_all(upload, path)
        except TimeoutError as e:
            raise InputError(f"its source took more than {hours:g} hours") from e
        except OutputError as e:  # tried again it would cost its source as much
            raise InputError(str(e)) from e

    async def _fetch_all(self, upload: Upload, path: Path) -> None:
        database, settings = self._database, self._settings
        idle, prefixes = settings.upload_idle_seconds, settings.source_prefixes
        async with (
            fetching(upload.place or "", prefixes, idle) as (length, pieces),
            appending(path, afresh=True) as sink,
        ):
            room = Room(database, settings, upload.id, 0)
            await room.need(length or 0)
            await pour(room.checked(pieces), sink, idle, lambda at: note(database, upload.id, at))
        await complete(database, upload.id, sink.size)

    async def _check(self, upload: Upload, path: Path) -> None:
        """A file that is not incoming was kept before we died, or lies in the media folder."""
        here = upload.source != "media" and await to_thread.run_sync(path.exists)
        try:
            async with nullcontext(path) if here else self.video_of(upload) as video:
                found = await look_at(
                    video, self._settings.check_seconds, self._settings.check_memory
                )
        except FileNotFoundError as e:
            raise InputError("its bytes are gone: upload it again") from e
        if isinstance(found, str):
            raise InputError(found)
        if here:
            await self._storage.keep(upload_name(upload.id), path)
        await change(self._database, upload.id, "checking", state="ready", **found)
        await self.incoming.remove(upload.id)

    @asynccontextmanager
    async def video_of(self, upload: Upload) -> AsyncIterator[Path]:
        """The video of an upload that was kept, as a local file as long as the block runs.

        It is not to be changed. From an object store it is fetched, which may take a while.

        Raises:
            FileNotFoundError: it is gone.
            InputError: it came from the media folder, and is not there any more.
            OutputError: it could not be fetched.
        """
        if upload.source == "media":
            folder, place = self._settings.media_dir, upload.place or ""
            yield await to_thread.run_sync(media_file, folder, place)
        else:
            async with self._storage.local(upload_name(upload.id)) as path:
                yield path

    async def _refuse(self, upload_id: str, cause: str) -> None:
        await refuse(self._database, upload_id, cause)
        with suppress(ContanosError):  # the sweeper removes it later
            await self.forget(upload_id)
