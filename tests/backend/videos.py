"""Videos to upload, and clients that do it."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx

from contanos.testing.videos import make_video

UPLOADS, TUS = "/api/v1/uploads", "/api/v1/uploads/tus"
VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}

Headers = dict[str, str]


def video(folder: Path, frames: int = 10) -> bytes:
    """A small one: the bytes of a file."""
    return make_video(folder / f"made-{frames}.mp4", frames).read_bytes()


def named(name: str) -> Headers:
    """The metadata of tus for it."""
    return {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"}


async def begin(client: httpx.AsyncClient, who: Headers, length: int, **more: Any) -> str:
    """The place of a new resumable upload."""
    headers = who | VERSION | {"Upload-Length": str(length)} | more.pop("headers", {})
    answer = await client.post(TUS, headers=headers, **more)
    assert answer.status_code == 201, answer.text
    place: str = answer.headers["Location"]
    return place


async def send(
    client: httpx.AsyncClient, who: Headers, place: str, offset: int, data: Any
) -> httpx.Response:
    """Go on with it."""
    headers = who | VERSION | BYTES | {"Upload-Offset": str(offset)}
    return await client.patch(place, headers=headers, content=data)


async def offset(client: httpx.AsyncClient, who: Headers, place: str) -> int:
    """Where it goes on."""
    answer = await client.head(place, headers=who | VERSION)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


async def checked(client: httpx.AsyncClient, who: Headers, upload_id: str) -> dict[str, Any]:
    """The upload once it was checked."""
    async with asyncio.timeout(60):
        while True:
            answer = await client.get(f"{UPLOADS}/{upload_id}", headers=who)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            if found["state"] in ("ready", "refused"):
                return found
            await asyncio.sleep(0.05)


async def send_form(
    client: httpx.AsyncClient, who: Headers, data: bytes, name: str = "walk.mp4"
) -> httpx.Response:
    """A form with a file."""
    return await client.post(UPLOADS, headers=who, files={"file": (name, data, "text/plain")})
