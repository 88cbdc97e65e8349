"""A backend that holds things of every kind, for whoever means it harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.belongings import (
    Belongings,
)
from tests.backend.clients import Server, serving_all
from tests.backend.finished import result_folder
from tests.backend.videos import Headers
from video_analysis.backend.settings import BackendSettings

API, TASKS = "/api/v1", "/api/v1/tasks"
PROBLEM = "application/problem+json"


@dataclass
class Target:
    """A backend that holds things of every kind."""

    server: Server
    belongings: Belongings

    def as_(self, who: str) -> Headers:
        return self.belongings.headers(who)


@asynccontextmanager
async def attacked(settings: BackendSettings, results: Path) -> AsyncIterator[Target]:
    patient = {"requests_a_minute": 10**6, "login_attempts_a_minute": 10**6}
    more = patient | {"login_attempts": 10**6, "running_tasks": 1}
    changed = settings.model_copy(update=more)
    async with serving_all(changed) as server:
        belongings = Belongings(changed, server.state.database, results)
        await belongings.put_back()
        yield Target(server, belongings)


@pytest.fixture
async def target(settings: BackendSettings, result_folder: Path) -> AsyncIterator[Target]:
    async with attacked(settings, result_folder) as found:
        yield found


@pytest.fixture
async def either(
    settings: BackendSettings, result_folder: Path, database_url: str
) -> AsyncIterator[Target]:
    """On SQLite, and on PostgreSQL."""
    on = settings.model_copy(update={"database_url": database_url})
    async with attacked(on, result_folder) as found:
        yield found


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The words of a refusal."""
    assert answer.status_code in statuses or (not statuses and 400 <= answer.status_code < 500), (
        answer.status_code,
        answer.text,
    )
    assert answer.headers["Content-Type"] == PROBLEM
    assert "x-injected" not in answer.headers
    said: str = answer.json()["detail"]
    assert said
    return said


async def kept(target: Target) -> tuple[Any, Any, Any]:
    """Rows, files and topics."""
    bus = target.server.state.desk.bus
    rows = await target.belongings.rows()
    return rows, target.belongings.files(), sorted(await asyncio.to_thread(bus.topics))


__all__ = ["result_folder"]
