"""Takes the bytes of uploads from clients."""

from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
from anyio import to_thread
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from contanos.errors import ContanosError
from video_analysis.backend.database.tables import Upload, new_id
from video_analysis.backend.state import State
from video_analysis.backend.uploads.books import complete, note, read
from video_analysis.backend.uploads.faults import Gone, WrongOffset
from video_analysis.backend.uploads.form import FormFile
from video_analysis.backend.uploads.label import label_of
from video_analysis.backend.uploads.room import Room, admit, look_for_disk, refuse_size
from video_analysis.backend.uploads.sink import Sink, appending, pour

_FORM_BYTES = 1 << 16  # a form is larger than its file, by less than that

Pieces = AsyncIterator[bytes]


async def begin_resumable(state: State, user_id: str, length: int, name: str) -> Upload:
    """An upload that is to come in one request or many.

    Args:
        state: of the application.
        user_id: whose it is.
        length: bytes that it will have.
        name: as the client gave it.

    Raises:
        TooLarge: there is no room for it.
        DiskFull: likewise, for anybody.
    """
    upload = _row(user_id, "tus", length, name)
    await _admit(state, upload)
    if not length:
        await complete(state.database, upload.id, 0)
        state.uploads.begin(upload.id)
    return upload


async def append(state: State, upload_id: str, offset: int, pieces: Pieces) -> Upload:
    """Go on with a resumable upload; what is more than was promised is left.

    Raises:
        Busy: another request does so.
        WrongOffset: it goes on elsewhere.
        Gone: it cannot be gone on with, since it is whole, or deleted.
        Silent: the client was silent for too long; what came is kept.
        OutputError: the disk is full; what was written is kept.
    """
    async with state.uploads.incoming.held(upload_id):
        upload = await read(state.database, upload_id)
        if upload is None or upload.state != "receiving":
            raise Gone(f"upload {upload_id} takes no more bytes")
        here = await state.uploads.incoming.size(upload_id)
        if here != offset:
            raise WrongOffset(f"the upload goes on at byte {here}, not at {offset}")
        await _append(state, upload, here, pieces)
    if upload.received == upload.bytes:
        state.uploads.begin(upload_id)
    return upload


async def receive_form(state: State, user_id: str, kind: str, length: int, body: Pieces) -> Upload:
    """An upload in one request: a form with a field `file`.

    Args:
        state: of the application.
        user_id: whose it is.
        kind: the request's content type.
        length: of its body as declared, in bytes; 0 where it was not.
        body: the request's.

    Raises:
        InputError: it is no such form.
        TooLarge: there is no room for it.
        Silent: the client was silent for too long.
        OutputError: the disk is full. Whatever is raised, nothing of the upload is left.
    """
    form = FormFile(kind)
    refuse_size(state.settings, length - _FORM_BYTES)
    upload = _row(user_id, "form", min(length, state.settings.upload_bytes), "")
    async with state.uploads.incoming.held(upload.id) as path:
        await _admit(state, upload)
        try:
            room = Room(state.database, state.settings, upload.id, upload.bytes or 0)
            async with appending(path, afresh=True) as sink:
                await _pour(state, upload.id, room.checked(form.pieces(body)), sink)
            label = label_of(form.name or "")
            await complete(state.database, upload.id, sink.size, label=label)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(ContanosError, SQLAlchemyError):
                await discard(state, upload.id)
            raise
    state.uploads.begin(upload.id)
    return await read(state.database, upload.id) or upload


async def discard(state: State, upload_id: str) -> None:
    """Remove an upload: its row, then its bytes."""
    async with state.database.transaction() as session:
        await session.execute(delete(Upload).where(Upload.id == upload_id))
    await state.uploads.forget(upload_id)


async def _append(state: State, upload: Upload, here: int, pieces: Pieces) -> None:
    path, promised = state.uploads.incoming.path(upload.id), upload.bytes or 0
    try:
        async with appending(path) as sink:
            await _pour(state, upload.id, _first(pieces, promised - here), sink)
    except BaseException:
        with anyio.CancelScope(shield=True), suppress(ContanosError, SQLAlchemyError):
            await _write_down(state, upload)
        raise
    await _write_down(state, upload)


async def _write_down(state: State, upload: Upload) -> None:
    """How far it is by what is on the disk; it is whole if that is all."""
    upload.received = await state.uploads.incoming.size(upload.id)
    try:
        if upload.received == upload.bytes:
            await complete(state.database, upload.id, upload.received)
        else:
            await note(state.database, upload.id, upload.received)
    except Gone:
        await state.uploads.forget(upload.id)
        raise


async def _pour(state: State, upload_id: str, pieces: Pieces, sink: Sink) -> None:
    idle = state.settings.upload_idle_seconds
    await pour(pieces, sink, idle, lambda size: note(state.database, upload_id, size))


async def _admit(state: State, upload: Upload) -> None:
    refuse_size(state.settings, upload.bytes or 0)
    folder = state.uploads.incoming.path(upload.id).parent
    await to_thread.run_sync(look_for_disk, folder, upload.bytes or 0)
    await admit(state.database, state.settings, upload)


async def _first(pieces: Pieces, most: int) -> Pieces:
    """As many bytes as were promised."""
    left = most
    async for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _row(user_id: str, source: str, promised: int, name: str) -> Upload:
    return Upload(
        id=new_id(),
        user_id=user_id,
        label=label_of(name),
        source=source,
        state="receiving",
        bytes=promised,
        received=0,
    )
