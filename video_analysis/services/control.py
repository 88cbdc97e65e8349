"""The backend's web side: the control plane, and what every service answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry

from contanos.service.answers import ServiceInfo
from contanos.service.app import add_service_routes
from contanos.service.board import Board, Check
from contanos.service.stalls import Stalls
from video_analysis.backend.app import new_app, running, serve_api
from video_analysis.backend.deps import allowed
from video_analysis.backend.problems import refusals
from video_analysis.backend.settings import BackendSettings, read_backend_settings
from video_analysis.backend.state import State
from video_analysis.control.desk import Desk


class ControlPlane:
    """What the service `backend` answers.

    Args:
        desk: where its tasks are ordered.
        info: what `/` says.
        board: what `/tasks` shows, to administrators.
        registry: what this process counts.
        settings: of the control plane; None for those of the environment.

    Raises:
        SettingError: a setting of the control plane cannot be used.
    """

    def __init__(
        self,
        desk: Desk,
        info: ServiceInfo,
        board: Board,
        registry: CollectorRegistry,
        settings: BackendSettings | None = None,
    ) -> None:
        self._state = State.of(settings or read_backend_settings(), desk)
        self._state.live.meter.register(registry)
        self._info = info
        self._board = board
        self._registry = registry
        self._stalls = Stalls(registry)

    def app(self, alive: Check, started: Check) -> FastAPI:
        """Everything on one application, so that its documentation is of everything."""
        app = new_app()
        serve_api(app, self._state)
        add_service_routes(
            app,
            self._info,
            self._board,
            self._registry,
            alive,
            started,
            guard=[Depends(allowed("admin"))],
            refusals=refusals(401, 403, 404, 422, 503),
        )
        return app

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What goes on beside requests."""
        async with self._stalls.watched(), running(self._state):
            yield
