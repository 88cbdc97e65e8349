"""People and programs who call the control plane."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI

from contanos.bus import open_bus
from contanos.service.answers import ServiceInfo
from contanos.service.app import fine
from contanos.service.board import Board
from contanos.service.metrics import process_registry
from contanos.stage.tasks import Tasks
from video_analysis.backend.app import control_app, running
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State
from video_analysis.control.desk import Desk
from video_analysis.job import read_task
from video_analysis.pipeline import graph_of
from video_analysis.services import SERVICES
from video_analysis.services.control import ControlPlane


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
        app: the application.
    """

    state: State
    client: httpx.AsyncClient
    app: FastAPI

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


def quiet_desk() -> Desk:
    """Where tasks are ordered and nobody does them: a bus without stages."""
    bus = open_bus("memory://")
    return Desk(bus, Tasks(bus, read_task))


def whole(settings: BackendSettings) -> tuple[ControlPlane, FastAPI]:
    """What answers on the backend's port: the control plane, and what every service answers."""
    desk = quiet_desk()
    info = ServiceInfo(name="backend", summary=SERVICES["backend"].summary)
    board = Board(desk.bus, desk.tasks, SERVICES["backend"].stages[0], graph_of)
    plane = ControlPlane(desk, info, board, process_registry(desk.bus), settings)
    return plane, plane.app(fine, fine)


@asynccontextmanager
async def serving_all(settings: BackendSettings) -> AsyncIterator[Server]:
    """The whole backend, without stages, as long as the block runs."""
    plane, app = whole(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        plane.running(),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        yield Server(app.state.shared, client, app)


@asynccontextmanager
async def serving(settings: BackendSettings, desk: Desk | None = None) -> AsyncIterator[Server]:
    """A control plane that runs as long as the block does; without a desk it has no stages."""
    state = State.of(settings, desk or quiet_desk())
    app = control_app(state)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        running(state),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        yield Server(state, client, app)
