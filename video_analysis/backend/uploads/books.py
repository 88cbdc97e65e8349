"""What is written down of uploads, each change a short transaction of its own."""

from typing import Any

from sqlalchemy import CursorResult, select, update

from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import Upload, UploadState
from video_analysis.backend.uploads.faults import Gone

_LONGEST = 1024  # characters of a cause


async def read(database: Database, upload_id: str) -> Upload | None:
    """An upload's row, if it is still there."""
    async with database.reading() as session:
        return await session.get(Upload, upload_id)


async def in_states(database: Database, *states: UploadState) -> list[Upload]:
    """All uploads in these states."""
    async with database.reading() as session:
        return list(await session.scalars(select(Upload).where(Upload.state.in_(states))))


async def note(database: Database, upload_id: str, received: int) -> None:
    """Bytes are on the disk.

    Raises:
        Gone: the upload was deleted.
    """
    await change(database, upload_id, "receiving", received=received, touched=now())


async def complete(database: Database, upload_id: str, size: int, **fields: Any) -> None:
    """All bytes are on the disk; they are to be checked.

    Raises:
        Gone: the upload was deleted.
    """
    fields |= {"state": "checking", "bytes": size, "received": size, "touched": now()}
    await change(database, upload_id, "receiving", **fields)


async def refuse(database: Database, upload_id: str, cause: str) -> None:
    """It cannot be used.

    Raises:
        Gone: the upload was deleted.
    """
    shown = cause if len(cause) <= _LONGEST else cause[: _LONGEST - 1] + "…"
    fields = {"state": "refused", "cause": shown, "touched": now()}
    await change(database, upload_id, "receiving", "checking", **fields)


async def change(database: Database, upload_id: str, *states: UploadState, **fields: Any) -> None:
    """Change an upload that is in one of these states.

    Raises:
        Gone: it is not, or was deleted.
    """
    wanted = update(Upload).where(Upload.id == upload_id, Upload.state.in_(states))
    async with database.transaction() as session:
        done = await session.execute(wanted.values(**fields))
        assert isinstance(done, CursorResult)
        if not done.rowcount:
            raise Gone(f"upload {upload_id} was deleted")
