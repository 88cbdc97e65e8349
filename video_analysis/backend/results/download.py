"""Files as they are kept, whole or in part."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

from fastapi import Request

from video_analysis.backend.problems import refused
from video_analysis.backend.results.conditions import Decision, Version, decide
from video_analysis.backend.results.name import disposition
from video_analysis.backend.results.outputs import MEDIA_TYPES, Output
from video_analysis.backend.results.stream import Body, Streamed
from video_analysis.backend.storage import Storage

_NO_STORE = {"Cache-Control": "private, no-cache"}  # asked again each time: it may be deleted


def download(storage: Storage, output: Output, request: Request) -> Streamed:
    """The answer to a request for a file; never more than a piece of it is in memory.

    Args:
        storage: where it is kept.
        output: which one.
        request: says which part, and on what conditions.

    Raises:
        HTTPException: 412, it is not the version that was asked for; 416, it has no such part.
    """
    version = version_of(output)
    wanted = decide(request.headers, version, ranges=request.method == "GET")
    if wanted.status == 412:
        raise refused(412, "the file is another one than your request is about: fetch it anew")
    if wanted.status == 416:
        raise refused(
            416,
            f"Range: the file has {output.size} bytes",
            Content_Range=f"bytes */{output.size}",
            Accept_Ranges="bytes",
        )
    return Streamed(_body(storage, output, version, wanted))


def version_of(output: Output) -> Version:
    """A task's files are written once, before it is over; a repeated task has another id."""
    ended = output.task.ended or output.task.created
    told = f"{output.name}:{output.size}:{ended.isoformat()}"
    tag = hashlib.sha256(told.encode()).hexdigest()[:32]
    return Version(f'"{tag}"', ended.replace(microsecond=0), output.size)


@asynccontextmanager
async def _body(
    storage: Storage, output: Output, version: Version, wanted: Decision
) -> AsyncIterator[Body]:
    headers = version.headers | _NO_STORE | {"Accept-Ranges": "bytes"}
    if wanted.status == 304:
        yield Body(headers, _nothing(), 304)
        return
    headers |= {
        "Content-Type": MEDIA_TYPES[output.file],
        "Content-Length": str(wanted.end - wanted.start),
        "Content-Disposition": disposition(output.task.label, output.file),
    }
    if wanted.status == 206:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.end - 1}/{version.size}"
    reading = storage.read(output.name, wanted.start, wanted.end)
    async with aclosing(cast("AsyncGenerator[bytes, None]", reading)) as pieces:
        yield Body(headers, pieces, wanted.status)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
