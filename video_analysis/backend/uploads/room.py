"""What users may store: bytes are promised to an upload before they come."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow, Upload, User
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.uploads.faults import DiskFull, Gone, TooLarge

_STEP = 64 << 20  # bytes that are promised at once where nobody says how many come


async def stored_bytes(session: AsyncSession, user_id: str) -> int:
    """What counts against a user's quota: uploads, as promised, and results.

    Files of the media folder are not theirs, and refused ones are not there any more.
    """
    uploads = select(func.coalesce(func.sum(Upload.bytes), 0)).where(
        Upload.user_id == user_id, Upload.source != "media", Upload.state != "refused"
    )
    results = select(func.coalesce(func.sum(TaskRow.bytes), 0)).where(TaskRow.user_id == user_id)
    return int(await session.scalar(uploads) or 0) + int(await session.scalar(results) or 0)


async def admit(database: Database, settings: BackendSettings, upload: Upload) -> None:
    """Store the row of an upload if there is room for the bytes that it promises.

    Raises:
        TooLarge: there is not.
    """
    async with database.transaction() as session:
        await _promise(session, settings, upload.user_id, 0, upload.bytes or 0)
        session.add(upload)


async def grow(database: Database, settings: BackendSettings, upload_id: str, total: int) -> None:
    """Promise so many bytes in all to an upload.

    Raises:
        TooLarge: there is no room for them.
        Gone: the upload was deleted.
    """
    async with database.transaction() as session:
        upload = await session.get(Upload, upload_id, with_for_update=True)
        if upload is None:
            raise Gone(f"upload {upload_id} was deleted")
        await _promise(session, settings, upload.user_id, upload.bytes or 0, total)
        upload.bytes = total


class Room:
    """Room for an upload whose size nobody knows, promised step by step.

    Args:
        database: where it is written down.
        settings: how much there is.
        upload_id: whose.
        promised: bytes that it has been promised already.
    """

    def __init__(
        self, database: Database, settings: BackendSettings, upload_id: str, promised: int
    ) -> None:
        self._database = database
        self._settings = settings
        self._upload_id = upload_id
        self._promised = promised

    async def checked(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces, each once there is room for it.

        Raises:
            TooLarge: there is none.
            Gone: the upload was deleted.
        """
        total = 0
        async for piece in pieces:
            total += len(piece)
            await self.need(total)
            yield piece

    async def need(self, total: int) -> None:
        """Have room for so many bytes in all.

        Raises:
            TooLarge: there is not so much.
            Gone: the upload was deleted.
        """
        if total <= self._promised:
            return
        wanted = min(max(total, self._promised + _STEP), self._settings.upload_bytes)
        try:
            await grow(self._database, self._settings, self._upload_id, max(total, wanted))
            self._promised = max(total, wanted)
        except TooLarge:  # there may still be room for less than a step
            await grow(self._database, self._settings, self._upload_id, total)
            self._promised = total


def look_for_disk(folder: Path, wanted: int) -> None:
    """Raises `DiskFull` where so many bytes cannot be written now."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < wanted:
        raise DiskFull(
            f"the server's disk has no room for {wanted} bytes: try again once its operator has "
            "made some"
        )


def refuse_size(settings: BackendSettings, total: int) -> None:
    """Raises `TooLarge` where one upload may not have so many bytes."""
    if total > settings.upload_bytes:
        raise TooLarge(
            f"{total} bytes are more than the {settings.upload_bytes} that one upload may have: "
            "send a shorter or smaller video"
        )


async def _promise(
    session: AsyncSession, settings: BackendSettings, user_id: str, before: int, total: int
) -> None:
    """One user's promises are made one after another: on PostgreSQL by this lock."""
    refuse_size(settings, total)
    user = await session.get(User, user_id, with_for_update=True)
    if user is None:
        raise Gone(f"account {user_id} was deleted")
    quota = settings.quota_bytes if user.quota_bytes is None else user.quota_bytes
    left = quota - (await stored_bytes(session, user_id) - before)
    if total > left:
        raise TooLarge(
            f"{total} bytes are more than the {max(left, 0)} that are left of your {quota}: "
            "delete uploads or tasks that you no longer need"
        )
