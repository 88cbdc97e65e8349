"""Uploads of whoever asks for them."""

from sqlalchemy import func, select
from starlette.requests import HTTPConnection

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.audit import Origin, audit
from video_analysis.backend.database.tables import FINAL, TaskRow, Upload
from video_analysis.backend.problems import refused
from video_analysis.backend.state import State
from video_analysis.backend.uploads.books import read


async def readable(
    state: State, who: Principal, upload_id: str, source: str | None = None
) -> Upload:
    """An upload that they may see: their own, or for an administrator anybody's.

    Args:
        state: of the application.
        who: asks.
        upload_id: from outside.
        source: only one that came in this way.

    Raises:
        HTTPException: 404, there is none.
    """
    upload = await read(state.database, upload_id)
    theirs = upload and (upload.user_id == who.owner_id or who.may("admin"))
    if upload is None or not theirs or source not in (None, upload.source):
        raise refused(404, f"no upload {upload_id} is yours")
    return upload


async def delete_upload(state: State, upload_id: str, by: HTTPConnection | Origin) -> None:
    """Remove an upload: its row, then its bytes; `by` is who asked for it.

    Raises:
        HTTPException: 409, a task needs it.
    """
    running = select(func.count()).where(
        TaskRow.upload_id == upload_id, TaskRow.state.not_in(FINAL)
    )
    async with state.database.transaction() as session:
        upload = await session.get(Upload, upload_id, with_for_update=True)
        if await session.scalar(running):
            raise refused(409, "a task of this upload is not over: cancel it, or wait for its end")
        if upload:
            await session.delete(upload)
            await audit(session, by, "upload deleted", upload_id)
    await state.uploads.forget(upload_id)
