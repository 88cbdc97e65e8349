"""The control plane under load: many clients poll while others upload and tasks run.

    python -m bench.api [--seconds N] [--quiet]

A real broker and every service, each a process; the stages have tasks to do all the time, so that
inference has the cores. Then 200 clients ask for the state of a task, each once a second, and 20
upload, each at 2 MB/s, which is a good line. Clients are a process of their own and speak plain
HTTP/1.1 over one connection each, so that little of what they measure is their own doing. Beside it
the same with the stages idle: what of the delay is the API's own.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.deployment import Deployment, deployed
from contanos.models.fetch import fetch
from contanos.service.stalls import METRIC
from video_analysis.models import manifest

POLLERS, UPLOADERS, USERS = 200, 20, 20
RATE = 2_000_000  # bytes a second of one upload
PIECE = 100_000  # bytes that one sends at a time
SIZE = 16_000_000  # bytes of one upload
ADMIN = ("root", "the-root-of-the-bench")

ENVIRONMENT = {
    "CONTANOS_WORKERS": "1",
    "CONTANOS_ADMIN_NAME": ADMIN[0],
    "CONTANOS_ADMIN_PASSWORD": ADMIN[1],
    "CONTANOS_QUOTA_TASKS": "50",
    "CONTANOS_REQUESTS_A_MINUTE": "1000000",
}


@dataclass
class Told:
    """What clients saw.

    Attributes:
        seconds: of each answer to a poll.
        errors: answers that were none.
        uploads: that came through.
    """

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    uploads: int = 0


class Connection:
    """One connection of HTTP/1.1, kept alive."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: bench\r\nAuthorization: Bearer {token}\r\n"

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(
        self, method: str, path: str, more: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request without a body, and read the answer."""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{more}\r\n".encode())
        await self._writer.drain()
        return await self.answer()

    async def send(self, piece: bytes) -> None:
        """A part of a body."""
        self._writer.write(piece)
        await self._writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers, the body."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(lines[0].split()[1]), headers, body

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()


async def poll(port: int, token: str, task: str, until: float, told: Told) -> None:
    """Ask for a task once a second."""
    connection = Connection(port, token)
    await connection.open()
    await asyncio.sleep(random.random())
    while (now := time.perf_counter()) < until:
        status, _, body = await connection.ask("GET", f"/api/v1/tasks/{task}")
        told.seconds.append(time.perf_counter() - now)
        if status != 200:
            told.errors.append(f"poll: {status} {body[:100]!r}")
        await asyncio.sleep(max(0.0, now + 1 - time.perf_counter()))
    connection.close()


async def upload(port: int, token: str, until: float, told: Told) -> None:
    """Send one video after another, at the pace of a line, and remove each."""
    connection = Connection(port, token)
    await connection.open()
    while time.perf_counter() < until:
        more = f"Tus-Resumable: 1.0.0\r\nUpload-Length: {SIZE}\r\nContent-Length: 0\r\n"
        status, headers, body = await connection.ask("POST", "/api/v1/uploads/tus", more)
        if status != 201:
            told.errors.append(f"upload: {status} {body[:100]!r}")
            return
        place = headers["location"].partition("bench")[2] or headers["location"]
        await _pour(connection, place)
        status, _, body = await connection.answer()
        told.uploads += status == 204
        if status != 204:
            told.errors.append(f"bytes: {status} {body[:100]!r}")
        more = "Tus-Resumable: 1.0.0\r\nContent-Length: 0\r\n"
        await connection.ask("DELETE", place, more)
    connection.close()


async def _pour(connection: Connection, place: str) -> None:
    head = (
        f"PATCH {place} HTTP/1.1\r\n{connection._head}Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {SIZE}\r\n\r\n"
    )
    await connection.send(head.encode())
    began = time.perf_counter()
    for sent in range(0, SIZE, PIECE):
        await connection.send(bytes(min(PIECE, SIZE - sent)))
        await asyncio.sleep(max(0.0, began + (sent + PIECE) / RATE - time.perf_counter()))


async def clients(port: int, users: Sequence[tuple[str, str]], seconds: float) -> Told:
    """All of them at once; users as tokens, each with a task of theirs."""
    told, until = Told(), time.perf_counter() + seconds
    polls = [poll(port, *users[i % len(users)], until, told) for i in range(POLLERS)]
    sends = [upload(port, users[i % len(users)][0], until, told) for i in range(UPLOADERS)]
    await asyncio.gather(*polls, *sends)
    return told


class Backend:
    """The API, as whoever prepares the load uses it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)

    def log_in(self, name: str, password: str) -> str:
        """A token."""
        answer = self._ask("POST", "/api/v1/login", json={"name": name, "password": password})
        token: str = answer["access_token"]
        return token

    def let_in(self, count: int) -> list[str]:
        """Tokens of new users."""
        admin = self.log_in(*ADMIN)
        tokens = []
        for i in range(count):
            who = {"name": f"user{i}-{time.time_ns()}", "password": "a-user-of-the-bench"}
            self._ask("POST", "/api/v1/users", admin, json=who)
            tokens.append(self.log_in(**who))
        return tokens

    def task(self, token: str, upload_id: str, **options: Any) -> str:
        """A new task."""
        wish = {"upload_id": upload_id, "options": options}
        task_id: str = self._ask("POST", "/api/v1/tasks", token, json=wish)["id"]
        return task_id

    def send(self, token: str, video: bytes) -> str:
        """An upload, once it is ready."""
        files = {"file": ("walk.mp4", video, "video/mp4")}
        made = self._ask("POST", "/api/v1/uploads", token, files=files)
        while self._ask("GET", f"/api/v1/uploads/{made['id']}", token)["state"] != "ready":
            time.sleep(0.1)
        upload_id: str = made["id"]
        return upload_id

    def stalls(self) -> dict[str, float]:
        """How often the event loop was up to so many seconds late, until now."""
        lines = self._client.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith(f"{METRIC}_bucket")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in found}

    def frames(self, token: str, tasks: Sequence[str]) -> int:
        """That tasks have put out."""
        states = [self._ask("GET", f"/api/v1/tasks/{each}", token) for each in tasks]
        return sum(each["frames"] for each in states)

    def _ask(self, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self._client.request(method, path, headers=headers, **more)
        answer.raise_for_status()
        return answer.json()


def measured(deployment: Deployment, seconds: float, busy: bool) -> dict[str, Any]:
    """What clients see, with tasks running or without any."""
    backend = Backend(deployment.ports["backend"])
    tokens = backend.let_in(USERS)
    video = fetch(manifest()["demo"]).read_bytes()
    uploads = [backend.send(each, video) for each in tokens]
    options: dict[str, Any] = {} if busy else {"max_frames": 1}
    tasks = [backend.task(*each, **options) for each in zip(tokens, uploads, strict=True)]
    _settle(backend, tokens, tasks, busy)
    before, memory = backend.stalls(), deployment.memory()["backend"]
    told = _in_another_process(backend.port, list(zip(tokens, tasks, strict=True)), seconds)
    late = {key: count - before.get(key, 0) for key, count in backend.stalls().items()}
    grown = deployment.memory()["backend"] - memory
    _end(backend, tokens, tasks)
    return told | {"late": late, "memory": memory, "grown": grown}


def _settle(backend: Backend, tokens: Sequence[str], tasks: Sequence[str], busy: bool) -> None:
    while True:
        states = [
            backend._ask("GET", f"/api/v1/tasks/{task}", token)
            for token, task in zip(tokens, tasks, strict=True)
        ]
        if busy and sum(each["frames"] for each in states) > 20:
            return
        if not busy and all(each["state"] == "completed" for each in states):
            return
        time.sleep(0.5)


def _end(backend: Backend, tokens: Sequence[str], tasks: Sequence[str]) -> None:
    for token, task in zip(tokens, tasks, strict=True):
        backend._client.delete(
            f"/api/v1/tasks/{task}", headers={"Authorization": f"Bearer {token}"}
        )


def _in_another_process(port: int, users: list[tuple[str, str]], seconds: float) -> dict[str, Any]:
    import subprocess

    command = [sys.executable, "-m", "bench.api", "--clients", str(port), "--seconds", str(seconds)]
    done = subprocess.run(
        command, input=json.dumps(users), capture_output=True, text=True, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _as_clients(port: int, seconds: float) -> None:
    users = [(token, task) for token, task in json.load(sys.stdin)]
    told = asyncio.run(clients(port, users, seconds))
    print(
        json.dumps(
            {
                "polls": len(told.seconds),
                "quantiles": statistics.quantiles(told.seconds, n=1000),
                "worst": max(told.seconds),
                "errors": told.errors[:5],
                "uploads": told.uploads,
            }
        )
    )


def report(name: str, found: dict[str, Any]) -> str:
    """One row."""
    cuts = [1000 * found["quantiles"][i] for i in (499, 949, 989)] + [1000 * found["worst"]]
    names = ("p50", "p95", "p99", "worst")
    shown = " ".join(f"{each} {ms:.1f}" for each, ms in zip(names, cuts, strict=True))
    late = found["late"]
    words = [
        f"{name:<12}{found['polls']:>6} polls, {len(found['errors'])} errors:",
        f"{shown} ms;",
        f"{found['uploads']} uploads;",
        f"stalls over 50 ms {late['+Inf'] - late['0.05']:.0f}, over 200 ms",
        f"{late['+Inf'] - late['0.2']:.0f}; memory {found['memory']:.0f} {found['grown']:+.0f} MB",
    ]
    return " ".join(words)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--clients", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.clients:
        _as_clients(given.clients, given.seconds)
        return
    with deployed(environment=ENVIRONMENT) as deployment:
        for name, busy in (("stages idle", False), ("stages busy", True)):
            found = measured(deployment, given.seconds, busy)
            print(report(name, found), *found["errors"], sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
