"""Tasks as clients make and watch them."""

import asyncio
from typing import Any

import httpx

from tests.backend.videos import Headers, checked, send_form

TASKS = "/api/v1/tasks"
FINAL = ("completed", "failed", "cancelled")


async def uploaded(client: httpx.AsyncClient, who: Headers, data: bytes) -> str:
    """The id of an upload that is ready."""
    made = await send_form(client, who, data)
    assert made.status_code == 201, made.text
    found = await checked(client, who, made.json()["id"])
    assert found["state"] == "ready", found
    upload_id: str = found["id"]
    return upload_id


async def made(
    client: httpx.AsyncClient, who: Headers, upload_id: str, **fields: Any
) -> dict[str, Any]:
    """A new task."""
    answer = await client.post(TASKS, headers=who, json={"upload_id": upload_id} | fields)
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    return task


async def task(client: httpx.AsyncClient, who: Headers, task_id: str) -> dict[str, Any]:
    answer = await client.get(f"{TASKS}/{task_id}", headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def in_state(
    client: httpx.AsyncClient, who: Headers, task_id: str, *states: str, seconds: float = 90
) -> dict[str, Any]:
    """The task once it is in one of these states."""
    async with asyncio.timeout(seconds):
        while (found := await task(client, who, task_id))["state"] not in states:
            assert found["state"] not in FINAL, found
            await asyncio.sleep(0.05)
    return found
