"""Uploads over real sockets: clients that vanish, servers that are killed, memory that stays."""

import asyncio
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.backend.clients import ADMIN
from tests.backend.live import LiveServer
from tests.backend.videos import (
    TUS,
    UPLOADS,
    VERSION,
    Headers,
    begin,
    checked,
    offset,
    send,
    send_form,
    video,
)

pytestmark = pytest.mark.anyio

MIB = 1 << 20
SEED = 20261124


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path / "data", upload_idle_seconds=1) as server:
        yield server


def left(server: LiveServer) -> list[str]:
    """Every file of uploads but the locks of those on their way."""
    folders = (server.data_dir / "incoming", server.data_dir / "files")
    found = (each for folder in folders for each in folder.rglob("*") if each.is_file())
    return sorted(each.name for each in found if each.suffix != ".lock")


def request(method: str, path: str, headers: Headers, body: bytes) -> bytes:
    """As it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def half(server: LiveServer, data: bytes) -> socket.socket:
    """A connection over which that was sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(data)
    return connection


def everything_told(connection: socket.socket) -> bytes:
    """What the server sends until it lets go."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


async def until(server: LiveServer, names: list[str]) -> None:
    async with asyncio.timeout(20):
        while left(server) != names:
            await asyncio.sleep(0.05)


async def test_a_client_that_vanishes_can_come_back(live: LiveServer, tmp_path: Path) -> None:
    who, data = live.log_in(), video(tmp_path, 40)
    async with httpx.AsyncClient(base_url=live.url, timeout=30) as client:
        place = await begin(client, who, len(data))
        headers = who | VERSION | {"Upload-Offset": "0", "Content-Length": str(len(data))}
        headers["Content-Type"] = "application/offset+octet-stream"
        connection = half(live, request("PATCH", place, headers, data[:1000]))
        await asyncio.sleep(0.5)  # what nobody has read yet goes with its connection
        connection.close()
        async with asyncio.timeout(20):
            while (here := await offset(client, who, place)) != 1000:
                await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            while (answer := await send(client, who, place, here, data[here:])).status_code == 423:
                await asyncio.sleep(0.05)
        assert answer.status_code == 204
        assert (await checked(client, who, place[-24:]))["state"] == "ready"


async def test_a_form_whose_client_vanishes_leaves_nothing(live: LiveServer) -> None:
    who = live.log_in()
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="y"\r\n\r\n'
    headers = who | {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": "9999999"}
    connection = half(live, request("POST", UPLOADS, headers, head + b"x" * 3 * MIB))
    async with asyncio.timeout(20):
        while not left(live):
            await asyncio.sleep(0.02)
    connection.close()
    await until(live, [])
    assert httpx.get(live.url + UPLOADS, headers=who).json()["items"] == []


async def test_a_client_that_falls_silent_is_told_and_let_go(live: LiveServer) -> None:
    who = live.log_in()
    async with httpx.AsyncClient(base_url=live.url, timeout=30) as client:
        place = await begin(client, who, 1000)
        headers = who | VERSION | {"Upload-Offset": "0", "Content-Length": "1000"}
        headers["Content-Type"] = "application/offset+octet-stream"
        began = time.monotonic()
        with half(live, request("PATCH", place, headers, b"x" * 100)) as connection:
            told = await asyncio.to_thread(everything_told, connection)
            assert b" 408 " in told.splitlines()[0]
            assert b"no byte came for 1 s" in told
        assert time.monotonic() - began < 15
        assert await offset(client, who, place) == 100


async def test_who_sends_too_much_reads_why(live: LiveServer) -> None:
    """Though the server does not read what is sent."""
    who = live.log_in()
    headers = who | VERSION | {"Upload-Length": str(1 << 50), "Content-Length": str(1 << 50)}
    headers["Content-Type"] = "application/offset+octet-stream"
    with half(live, request("POST", TUS, headers, b"x" * 1000)) as connection:
        assert b" 413 " in (await asyncio.to_thread(connection.recv, 65_536)).splitlines()[0]


async def test_memory_does_not_grow_with_an_upload(live: LiveServer) -> None:
    who = live.log_in()
    assert live.pid
    process, size = psutil.Process(live.pid), 256 * MIB
    async with httpx.AsyncClient(base_url=live.url, timeout=120) as client:
        warm = await begin(client, who, 8 * MIB)
        await send(client, who, warm, 0, bytes(8 * MIB))
        before = process.memory_info().rss
        place = await begin(client, who, size + 1)

        async def much(head: bytes = b"", tail: bytes = b""):  # type: ignore[no-untyped-def]
            yield head
            for _ in range(size // MIB):
                yield bytes(MIB)
            yield tail

        assert (await send(client, who, place, 0, much())).status_code == 204
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="y"\r\n\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        body = much(head, b"\r\n--b--\r\n")
        answer = await client.post(UPLOADS, headers=who | kind, content=body)
        assert answer.status_code == 201, answer.text
        grown = process.memory_info().rss - before
    assert grown < 48 * MIB, f"{grown / MIB:.0f} MiB"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.long)])
async def test_killed_at_any_moment_it_loses_nothing_and_leaves_nothing(
    live: LiveServer, tmp_path: Path, kills: int
) -> None:
    """Killed again and again while three clients upload, each in its own way."""
    chance = random.Random(SEED)
    data = video(tmp_path, 60) + chance.randbytes(2 * MIB)  # players do not mind what follows
    who = live.log_in()
    places: set[str] = set()
    for _ in range(kills):
        async with httpx.AsyncClient(base_url=live.url, timeout=30) as client:
            busy = [asyncio.create_task(_upload(client, who, data, places)) for _ in range(2)]
            busy.append(asyncio.create_task(_forms(client, who, data)))
            await asyncio.sleep(chance.uniform(0.05, 1.5))
            live.kill()
            await asyncio.gather(*busy, return_exceptions=True)
        live.start()
    async with httpx.AsyncClient(base_url=live.url, timeout=60) as client:
        who = live.log_in()
        for place in sorted(places):
            here = await offset(client, who, place)
            if here < len(data):
                answer = await send(client, who, place, here, data[here:])
                assert answer.status_code == 204, answer.text
            assert (await checked(client, who, place[-24:]))["state"] == "ready"
        listed = await everything(client, who)
        for each in listed:
            if each["state"] != "receiving":
                assert (await checked(client, who, each["id"]))["state"] == "ready"
        rows = {each["id"] for each in listed if each["state"] != "receiving"}
        await until(live, sorted(rows))
        assert {place[-24:] for place in places} <= rows
        for name in rows:
            assert (live.data_dir / "files" / "uploads" / name).read_bytes() == data
        begun = [each for each in listed if each["state"] == "receiving"]
        assert {each["source"] for each in begun} <= {"tus"}, "a form cannot be gone on with"
    assert len(rows) > kills // 3, "too little was going on"


async def everything(client: httpx.AsyncClient, who: Headers) -> list[dict[str, Any]]:
    """All uploads, page by page."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 50}
    while params.get("after", "") is not None:
        answer = (await client.get(UPLOADS, headers=who, params=params)).json()
        found += answer["items"]
        params["after"] = answer["next"]
    return found


async def _upload(client: httpx.AsyncClient, who: Headers, data: bytes, places: set[str]) -> None:
    """Again and again, in pieces."""
    while True:
        place = await begin(client, who, len(data))
        places.add(place)
        for start in range(0, len(data), MIB // 2):
            piece = data[start : start + MIB // 2]
            assert (await send(client, who, place, start, piece)).status_code == 204


async def _forms(client: httpx.AsyncClient, who: Headers, data: bytes) -> None:
    while True:
        assert (await send_form(client, who, data)).status_code == 201


async def test_what_was_being_checked_is_checked_after_a_restart(
    live: LiveServer, tmp_path: Path
) -> None:
    who, data = live.log_in(), video(tmp_path)
    async with httpx.AsyncClient(base_url=live.url, timeout=30) as client:
        made = (await send_form(client, who, data)).json()
        assert made["state"] == "checking"
        live.kill()
    live.start()
    async with httpx.AsyncClient(base_url=live.url, timeout=30) as client:
        found = await checked(client, live.log_in(ADMIN), made["id"])
    assert found["state"] == "ready"
    await until(live, [made["id"]])
