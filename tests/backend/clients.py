"""People and programs who call the control plane."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from video_analysis.backend.app import control_app, running
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State


class Person(NamedTuple):
    """Somebody with an account."""

    name: str
    password: str


ADMIN = Person("root", "the-root-of-it-all")
ADA, BOB = Person("ada", "analytical-engine"), Person("bob", "build-it-again!")


@dataclass
class Server:
    """A control plane in this process.

    Attributes:
        state: what its routes share.
        client: of nobody in particular.
    """

    state: State
    client: httpx.AsyncClient

    async def log_in(self, who: Person) -> dict[str, str]:
        """The headers of somebody who has logged in."""
        answer = await self.client.post("/api/v1/login", json=who._asdict())
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def let_in(self, who: Person, **fields: Any) -> str:
        """The id of an account that the administrator has made."""
        answer = await self.client.post(
            "/api/v1/users", json=who._asdict() | fields, headers=await self.log_in(ADMIN)
        )
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["id"]
        return made


@asynccontextmanager
async def serving(settings: BackendSettings) -> AsyncIterator[Server]:
    """A control plane that runs as long as the block does."""
    state = State.of(settings)
    app = control_app(state)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        running(state),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        yield Server(state, client)
