"""Moments at which a backend is killed, and an account of what it had promised by then."""

import asyncio
import random
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.backend.tasks import FINAL, TASKS, in_state, made, task, uploaded
from tests.backend.videos import Headers, send_form
from video_analysis.results.summary import SUMMARY
from video_analysis.workspace import VIDEO

_LOOK = 0.001  # seconds between two looks at files and rows
_PATIENCE = 120.0


class Account:
    """What one user was promised, over all lives of a backend.

    Args:
        data: the folder of the backend.
        video: that is uploaded.
        frames: of each task.
        seed: decides when a moment is over.

    Attributes:
        accepted: tasks that the backend has answered for, and that were not deleted.
        deleted: tasks whose deletion it has answered for.
        reached: moments at which it was killed.
    """

    def __init__(self, data: Path, video: Path, frames: int, seed: int) -> None:
        self.accepted: set[str] = set()
        self.deleted: set[str] = set()
        self.reached: list[str] = []
        self._data = data
        self._video = video.read_bytes()
        self._options = {"max_frames": frames}
        self._chance = random.Random(seed)
        self._upload_id = ""
        self._moments = [
            self._ordered,
            self._between_files,
            self._deletes,
            self._accepts,
            self._finished,
            self._deletes_running,
            self._uploads,
        ]
        self._chance.shuffle(self._moments)
        self._unanswered: list[Callable[[], Awaitable[None]]] = []
        self._busy: list[asyncio.Task[Any]] = []
        self._client: httpx.AsyncClient
        self._who: Headers

    async def strike(self, client: httpx.AsyncClient, who: Headers, number: int) -> None:
        """Return when the backend is to be killed; first ask again what was not answered."""
        await self.settle(client, who)
        moment = self._moments[number % len(self._moments)]
        self.reached.append(moment.__name__.strip("_"))
        await moment()

    async def settle(self, client: httpx.AsyncClient, who: Headers) -> None:
        """Ask again what a killed backend has not answered."""
        self._client, self._who = client, who
        await asyncio.gather(*self._busy, return_exceptions=True)
        again, self._unanswered, self._busy = self._unanswered, [], []
        for each in again:
            await each()
        if not self._upload_id:
            self._upload_id = await uploaded(client, who, self._video)

    async def all_completed(self) -> None:
        """Wait for all that were accepted."""
        for each in sorted(self.accepted):
            await in_state(self._client, self._who, each, "completed", seconds=_PATIENCE)

    async def _uploads(self) -> None:
        self._in_background(send_form(self._client, self._who, self._video))
        await self._a_while(0.4)

    async def _accepts(self) -> None:
        """A request that is repeated with the same key makes no second task."""
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        wish = {"upload_id": self._upload_id, "options": self._options}
        told: list[str] = []

        async def ask() -> None:
            answer = await self._client.post(TASKS, headers=self._who | headers, json=wish)
            assert answer.status_code in (200, 201), answer.text
            told.append(answer.json()["id"])
            assert len(set(told)) == 1, told
            self.accepted.add(told[0])

        self._unanswered.append(ask)
        self._in_background(ask())
        await self._a_while(0.1)

    async def _ordered(self) -> None:
        """It runs by what is written down; perhaps the stages do not know yet."""
        task_id = await self._new()
        await self._until(lambda: self._row(task_id)[0] != "queued")
        await self._a_while(0.02)

    async def _between_files(self) -> None:
        task_id = await self._new()
        await self._until(lambda: (self._kept(task_id) / VIDEO).exists())

    async def _finished(self) -> None:
        """The stages are done, and the results not kept."""
        task_id = await self._new()
        out = self._data / "work" / task_id / "out"
        await self._until(lambda: (out / SUMMARY).exists() or self._row(task_id)[0] in FINAL)
        await self._a_while(0.1)

    async def _deletes(self) -> None:
        """A task that is over, results and all."""
        await self._delete(await self._new("completed"))

    async def _deletes_running(self) -> None:
        task_id = await self._new("running")
        await self._a_while(1.0)
        await self._delete(task_id)

    async def _delete(self, task_id: str) -> None:
        self.accepted.discard(task_id)
        self.deleted.add(task_id)

        async def ask() -> None:
            answer = await self._client.delete(f"{TASKS}/{task_id}", headers=self._who)
            assert answer.status_code in (204, 404), answer.text

        self._unanswered.append(ask)
        self._in_background(ask())
        await self._until(lambda: self._row(task_id)[1] is not None)
        await self._a_while(0.1)

    async def _new(self, *states: str) -> str:
        found = await made(self._client, self._who, self._upload_id, options=self._options)
        task_id: str = found["id"]
        self.accepted.add(task_id)
        async with asyncio.timeout(_PATIENCE):
            while states and (await task(self._client, self._who, task_id))["state"] not in states:
                await asyncio.sleep(0.02)
        return task_id

    def _in_background(self, asking: Coroutine[Any, Any, Any]) -> None:
        async def answered() -> None:
            with suppress(httpx.TransportError):
                await asking

        self._busy.append(asyncio.create_task(answered()))

    async def _a_while(self, most: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, most))

    async def _until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not so():
                await asyncio.sleep(_LOOK)

    def _kept(self, task_id: str) -> Path:
        return self._data / "files" / "results" / task_id

    def _row(self, task_id: str) -> tuple[str, str | None]:
        """State, and when it was deleted; a row that is gone was deleted, too."""
        with closing(sqlite3.connect(self._data / "contanos.db", timeout=30)) as database:
            asked = database.execute("SELECT state, deleted FROM tasks WHERE id = ?", [task_id])
            state, deleted = asked.fetchone() or ("gone", "gone")
            return state, deleted
