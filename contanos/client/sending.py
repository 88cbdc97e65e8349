"""A file to a server by tus 1.0 (https://tus.io), which goes on where it broke off."""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import httpx

from contanos.client.connection import Connection
from contanos.client.models import Upload
from contanos.client.patience import Patience
from contanos.errors import (
    InputError,
    Refused,
    ServerError,
    ServerFailed,
    TryLater,
    Unreachable,
)

Progress = Callable[[int, int], None]
"""Told of bytes that are there, and of all."""

_VERSION = {"Tus-Resumable": "1.0.0"}
_BYTES = {"Content-Type": "application/offset+octet-stream"}
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_PIECE, _AT_ONCE = 16 << 20, 1 << 16  # bytes of one request, and of one read
_FAREWELL = 3.0  # seconds


class Sending:
    """One file on its way.

    Args:
        connection: to the server.
        path: of the file.
        progress: is told how far it is.

    Raises:
        InputError: the file cannot be read, or is empty.
    """

    def __init__(self, connection: Connection, path: Path, progress: Progress) -> None:
        self._connection = connection
        self._path = path
        self._progress = progress
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as e:
            raise InputError(f"{path} cannot be read: {e.strerror}") from e
        self._size = self._file.seek(0, 2)
        if not self._size:
            self._file.close()
            raise InputError(f"{path} is empty")

    def send(self, name: str) -> Upload:
        """All of it.

        Args:
            name: what the server is told that it is called.

        Raises:
            ServerError: it cannot be sent. Where it was interrupted, nothing is left of it there.
            InputError: the file became shorter meanwhile.
        """
        with self._file:
            upload_id = self._begin(name)
            try:
                self._send(upload_id)
            except (KeyboardInterrupt, InputError):
                self._give_up(upload_id)
                raise
        return self._connection.ask(Upload, "GET", f"/uploads/{upload_id}")

    def _begin(self, name: str) -> str:
        told = base64.b64encode(name.encode(errors="replace")).decode()
        headers = {"Upload-Length": str(self._size), "Upload-Metadata": f"filename {told}"}
        answer = self._connection.call("POST", "/uploads/tus", headers=_VERSION | headers)
        upload_id = answer.headers.get("Location", "").rpartition("/")[2]
        if not _ID.fullmatch(upload_id):
            raise ServerFailed("the server does not say where the upload goes on")
        return str(upload_id)

    def _send(self, upload_id: str) -> None:
        """The server's word on how far it is counts, never what we have put into a socket."""
        patience, here = self._connection.patience(), 0
        while here < self._size:
            self._progress(here, self._size)
            try:
                here = self._send_piece(upload_id, here)
                patience.renew()
            except (Unreachable, TryLater, Refused) as e:
                if isinstance(e, Refused) and e.status != 409:  # it goes on elsewhere
                    raise
                self._connection.wait(patience, e)
                before, here = here, self._offset(upload_id)
                if here > before:
                    patience.renew()
        self._progress(self._size, self._size)

    def _send_piece(self, upload_id: str, start: int) -> int:
        length = min(_PIECE, self._size - start)
        headers = {"Upload-Offset": str(start), "Content-Length": str(length)}
        with self._connection.stream(
            "PATCH",
            f"/uploads/tus/{upload_id}",
            headers=_VERSION | _BYTES | headers,
            content=self._read(start, length),
        ) as answer:
            here = _told(answer)
        if here <= start:
            raise TryLater("the server takes no bytes")
        return here

    def _read(self, start: int, length: int) -> Iterator[bytes]:
        self._file.seek(start)
        end = start + length
        while start < end:
            data = self._file.read(min(_AT_ONCE, end - start))
            if not data:
                raise InputError(f"{self._path} became shorter while it was sent")
            yield data
            start += len(data)
            self._progress(start, self._size)

    def _offset(self, upload_id: str) -> int:
        try:
            return _told(
                self._connection.call("HEAD", f"/uploads/tus/{upload_id}", headers=_VERSION)
            )
        except Refused as e:
            if e.status == 410:  # an answer to HEAD has no words
                found = self._connection.ask(Upload, "GET", f"/uploads/{upload_id}")
                raise Refused(found.cause or str(e), 410) from e
            raise

    def _give_up(self, upload_id: str) -> None:
        """Tried for a moment: what nobody goes on with, the server removes after a while."""
        patience = Patience(_FAREWELL)
        with suppress(ServerError):
            while True:
                try:
                    with self._connection.stream(
                        "DELETE", f"/uploads/tus/{upload_id}", headers=_VERSION
                    ):
                        return
                except TryLater as e:  # it has not noticed yet that we send no more
                    patience.wait(e)


def _told(answer: httpx.Response) -> int:
    try:
        return int(answer.headers["Upload-Offset"])
    except (KeyError, ValueError) as e:
        raise ServerFailed("the server does not say how far the upload is") from e
