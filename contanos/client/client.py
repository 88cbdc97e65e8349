"""A contanos server, as one of its users sees it."""

import re
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from contanos.client.address import key_of, server_of
from contanos.client.connection import Connection
from contanos.client.events import watched
from contanos.client.fetching import FileProgress, fetch_export
from contanos.client.files import fetch_files
from contanos.client.live import Live, live_frames
from contanos.client.models import ExportFormat, Options, Task, Track, Upload
from contanos.client.pages import frame_pages, pages
from contanos.client.sending import Progress, Sending
from contanos.errors import InputError, Refused
from contanos.messages import FrameResult

_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_LOOK = 0.3  # seconds between two looks at an upload


class Client:
    """A server, in one user's name. Use it as a context manager, from any thread.

    Every method raises `ServerError`: `Unreachable`, `TryLater`, `ServerFailed`, or `Refused`,
    such as `Unauthorised` and `NotFound`. Its message is the server's own, for a person.

    Args:
        server: its address; by default `CONTANOS_SERVER`.
        key: an API key, or an access token; by default `CONTANOS_API_KEY`.
        patience: seconds for which what failed is tried again, where that can do no harm; counted
            anew whenever something was achieved. A server that has never answered gets 3.

    Raises:
        SettingError: the address or the key is missing, or none.
    """

    def __init__(
        self, server: str | None = None, key: str | None = None, *, patience: float = 60.0
    ) -> None:
        self._connection = Connection(server_of(server), key_of(key), patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._connection.close()

    @property
    def server(self) -> str:
        """Its address."""
        return self._connection.server

    def upload(
        self, path: Path | str, *, name: str | None = None, progress: Progress | None = None
    ) -> Upload:
        """Send a video, piece by piece from the disk; a broken connection is gone on with.

        Args:
            path: of the file.
            name: what the server is told that it is called; by default its own name.
            progress: is told of bytes that are there, and of all.

        Returns:
            The upload, which may still be `checking`; see `checked`.

        Raises:
            InputError: the file cannot be read, or is empty.
            ServerError: it was not taken.
        """
        path = Path(path)
        return Sending(self._connection, path, progress or _nothing).send(name or path.name)

    def checked(self, upload: Upload) -> Upload:
        """An upload once the server has looked at it, and can use it.

        Raises:
            Refused: it cannot be used; the message says why.
            ServerError: it cannot be asked.
        """
        while upload.state in ("receiving", "checking"):
            time.sleep(_LOOK)
            upload = self._connection.ask(Upload, "GET", f"/uploads/{_checked_id(upload.id)}")
        if upload.state == "refused":
            raise Refused(f"{upload.label}: {upload.cause or 'it cannot be used'}")
        return upload

    def submit(
        self,
        upload: Upload | str,
        options: Options | None = None,
        *,
        label: str | None = None,
        priority: int = 0,
        key: str | None = None,
    ) -> Task:
        """Have an upload processed; made again after a fault, the request makes no second task.

        Args:
            upload: or its id. It need not be checked yet.
            options: how.
            label: to know the task by; by default the upload's.
            priority: among one's own tasks, -100 to 100; the higher, the sooner.
            key: for idempotency; calls with the same one are the same task. By default a new one.
        """
        wish: dict[str, Any] = {
            "upload_id": upload.id if isinstance(upload, Upload) else upload,
            "priority": priority,
            "options": msgspec.to_builtins(options or Options()),
        }
        if label is not None:
            wish["label"] = label
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self._connection.ask(
            Task, "POST", "/tasks", json=wish, headers=headers, repeatable=True
        )

    def task(self, task_id: str) -> Task:
        """One task, as it is now."""
        return self._connection.ask(Task, "GET", _place(task_id))

    def tasks(
        self,
        *,
        state: str | Sequence[str] = (),
        upload_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> Iterator[Task]:
        """One's own tasks, the newest first; asked for in pages, as they are wanted.

        Args:
            state: only those in this state, or in one of these.
            upload_id: only those of this video.
            since: only those made then or later; with a time zone.
            before: only those made before.
        """
        query: dict[str, Any] = {"limit": 100, "upload": upload_id}
        query["state"] = [state] if isinstance(state, str) else list(state)
        query |= {name: _moment(at) for name, at in (("since", since), ("before", before)) if at}
        return pages(self._connection, Task, "/tasks", "after", query)

    def watch(self, task_id: str) -> Iterator[Task]:
        """A task now, and whenever it has changed, until it is over; that comes last.

        By server-sent events, and where these do not come through by asking once a second.
        """
        _place(task_id)
        return watched(self._connection, task_id)

    def wait(self, task_id: str) -> Task:
        """A task once it is over."""
        return deque(self.watch(task_id), maxlen=1).pop()

    def frames(
        self,
        task_id: str,
        *,
        start: int = 0,
        track: int | None = None,
        from_seconds: float | None = None,
        to_seconds: float | None = None,
    ) -> Iterator[FrameResult]:
        """Frames of a task that is over, in order; asked for in pages, as they are wanted.

        Args:
            task_id: of the task.
            start: the first `frame_id`.
            track: only frames with this track, and only it in them.
            from_seconds: only frames that are shown then or later.
            to_seconds: only frames that are shown before.
        """
        query = {
            "start": start,
            "track": track,
            "from_seconds": from_seconds,
            "to_seconds": to_seconds,
        }
        return frame_pages(self._connection, f"{_place(task_id)}/frames", query)

    def tracks(self, task_id: str) -> Iterator[Track]:
        """Each person's stay in the picture, in short, of a task that is over."""
        return pages(self._connection, Track, f"{_place(task_id)}/tracks", "start", {})

    def live(self, task_id: str, since: int | None = None) -> Iterator[Live]:
        """Frames as they are tracked, each once, and in the end an `EndOfStream`.

        A broken connection is made again, from the frame after the last one. Who is too slow gets
        a `Dropped` in place of the frames that were left out.

        Args:
            task_id: of the task; one that is over has its frames still.
            since: the first frame that is wanted; by default the newest.
        """
        self.task(task_id)
        return live_frames(self._connection, task_id, since)

    def fetch(
        self, task_id: str, folder: Path | str, *, progress: FileProgress | None = None
    ) -> list[Path]:
        """All files of a task that is over; called again, it goes on where it was cut off.

        Args:
            task_id: of the task.
            folder: for them; made where it is missing.
            progress: is told of a file's name, of bytes that are here, and of all.

        Returns:
            The files. Each got its name once it was whole.

        Raises:
            NotFound: there are none.
            Refused: the task is not over.
            OutputError: they cannot be written, or the folder has those of another task.
        """
        address = f"{_place(task_id)}/files"
        return fetch_files(
            self._connection, self.task(task_id), address, Path(folder), progress or _nothing
        )

    def export(
        self,
        task_id: str,
        format: ExportFormat,  # noqa: A002 - as the server calls it
        path: Path | str,
        *,
        progress: FileProgress | None = None,
    ) -> Path:
        """The result of a task that is over in another format.

        Args:
            task_id: of the task.
            format: `coco`, `mot`, `csv` or `jsonl`.
            path: of the file, which gets its name once it is whole.
            progress: as for `fetch`.

        Raises:
            OutputError: it cannot be written.
        """
        path = Path(path)
        address = f"{_place(task_id)}/export/{format}"
        fetch_export(self._connection, address, path, progress or _nothing)
        return path

    def cancel(self, task_id: str, *, keep: bool = True) -> Task:
        """End a task early.

        Args:
            task_id: of the task.
            keep: whether what there is by then is kept.
        """
        query = {"keep": keep}
        return self._connection.ask(Task, "POST", f"{_place(task_id)}/cancel", params=query)

    def retry(self, task_id: str) -> Task:
        """The same once more, as a new task."""
        return self._connection.ask(Task, "POST", f"{_place(task_id)}/retry")

    def delete(self, task_id: str) -> None:
        """Remove a task and its results; one that runs ends."""
        self._connection.call("DELETE", _place(task_id))


def _place(task_id: str) -> str:
    return f"/tasks/{_checked_id(task_id)}"


def _checked_id(given: str) -> str:
    """It becomes a part of an address.

    Raises:
        InputError: it would be more than that.
    """
    if not _ID.fullmatch(given):
        raise InputError(f"{given!r} is no id: these are letters, digits and dashes")
    return given


def _moment(at: datetime) -> str:
    if at.tzinfo is None:
        raise InputError("since and before: give times with a time zone")
    return at.isoformat()


def _nothing(*_: object) -> None:
    """Nobody wants to know how far it is."""
