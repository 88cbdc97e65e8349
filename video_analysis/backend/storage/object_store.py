"""An object store that speaks S3 as a storage, through obstore (optional: `contanos[s3]`).

Region, credentials and the endpoint of a store that is not Amazon's come from the usual environment
variables: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`.

A process that is killed while it keeps a large file leaves parts, which no listing shows; let the
bucket's lifecycle rules abort unfinished multipart uploads after a day.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from contanos.disk import as_output_error, remove
from contanos.errors import MachineError, OutputError, SettingError
from video_analysis.backend.storage.contract import CHUNK, checked_name
from video_analysis.backend.storage.scratch import Scratch

_RETRIES, _PATIENCE = 5, timedelta(seconds=30)

if TYPE_CHECKING:
    from obstore.store import S3Store

_PART = 16 << 20  # bytes; of 10,000 parts at most a file may then be 156 GiB
_PARTS_AT_ONCE = 4  # as many parts are in memory


class ObjectStorage:
    """Keeps files in a bucket.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`.
        scratch: a folder for files while they are read here; several processes may share it.

    Raises:
        SettingError: the URL is none of these, or the environment cannot be used.
        MachineError: obstore is not installed.
    """

    def __init__(self, url: str, scratch: Path) -> None:
        self._url = url
        self._scratch = Scratch(scratch)
        self._store = _open(url)

    async def keep(self, name: str, path: Path) -> int:
        with as_output_error(path):
            size = (await anyio.Path(path).stat()).st_size
        with self._reached(missing=True):
            await self._store.put_async(
                checked_name(name), path, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )
        with as_output_error(path):
            await anyio.Path(path).unlink()
        return size

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        path = await to_thread.run_sync(self._scratch.path)
        try:
            async with await anyio.open_file(path, "wb") as file:
                async for piece in self.read(name):
                    with as_output_error(path):
                        await file.write(piece)
            yield path
        finally:
            remove(path)

    async def size(self, name: str) -> int | None:
        try:
            with self._reached():
                return (await self._store.head_async(checked_name(name)))["size"]
        except FileNotFoundError:
            return None

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        size = await self.size(name)
        if size is None:
            raise FileNotFoundError(name)
        last = size if end is None else min(end, size)
        if start >= last:
            return
        with self._reached():
            found = await self._store.get_async(name, options={"range": (start, last)})
            async for piece in found.stream(min_chunk_size=CHUNK):
                data = memoryview(piece)
                for at in range(0, len(data), CHUNK):
                    yield bytes(data[at : at + CHUNK])

    async def names(self, prefix: str) -> list[str]:
        with self._reached(missing=True):
            pages = self._store.list(checked_name(prefix) + "/")
            return sorted([each["path"] async for page in pages for each in page])

    async def remove(self, prefix: str) -> None:
        beneath = await self.names(prefix)
        with self._reached(missing=True):
            await self._store.delete_async([*beneath, prefix])

    async def ready(self) -> None:
        await self.names("ready")

    async def sweep(self) -> None:
        await to_thread.run_sync(self._scratch.sweep)

    async def close(self) -> None:
        await to_thread.run_sync(self._scratch.close)

    @contextmanager
    def _reached(self, missing: bool = False) -> Iterator[None]:
        """Raises `OutputError` where the store does not do as asked.

        Args:
            missing: whether what is not found can only be the bucket.
        """
        from obstore.exceptions import BaseError

        refusals = (BaseError, FileNotFoundError) if missing else BaseError
        try:
            yield
        except refusals as e:
            why = str(e).splitlines()[0]
            raise OutputError(f"{self._url} did not do as asked: {why}; try again later") from e


def _open(url: str) -> "S3Store":
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment:
        raise SettingError(f"CONTANOS_STORAGE_URL: {url} is not s3://bucket or s3://bucket/prefix")
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError as e:
        raise MachineError(f"{e.name} is missing: pip install 'contanos[s3]'") from e
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    try:
        return S3Store(
            parts.netloc,
            prefix=checked_name(prefix) if prefix else None,
            client_options={"allow_http": plain},
            retry_config={"max_retries": _RETRIES, "retry_timeout": _PATIENCE},
        )
    except (BaseError, ValueError) as e:
        raise SettingError(f"CONTANOS_STORAGE_URL: {url} cannot be used: {e}") from e
