"""The control plane's application: `/api/v1`, and the seed's three calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from contanos import __version__
from contanos.service.children import say
from video_analysis.backend.accounts.first import make_first_admin
from video_analysis.backend.problems import Problem, explain
from video_analysis.backend.routes import accounts, keys, login, tus, uploads
from video_analysis.backend.state import State
from video_analysis.backend.uploads.sweeper import attended

PREFIX = "/api/v1"

ROUTERS: tuple[APIRouter, ...] = (
    login.router,
    accounts.router,
    keys.router,
    tus.router,
    uploads.router,
)


def control_app(state: State) -> FastAPI:
    """The application. Its database is opened, and the first account made, as it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(state):
            yield

    app = FastAPI(title="contanos", version=__version__, lifespan=lifespan)
    serve_api(app, state)
    return app


def serve_api(app: FastAPI, state: State) -> None:
    """Add the control plane's routes to an application."""
    app.state.shared = state
    explain(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)


async def open_state(state: State) -> None:
    """Bring the database up to date, and have somebody who can log in.

    Raises:
        SettingError: the database cannot be used.
    """
    await state.database.open()
    if password := await make_first_admin(state.database, state.settings):
        name = state.settings.admin_name
        say(f"first account: {name}, password {password}; it is not shown again")


@asynccontextmanager
async def running(state: State) -> AsyncIterator[None]:
    """Everything that goes on beside requests, as long as the block runs.

    Raises:
        SettingError: the database cannot be used.
    """
    await open_state(state)
    try:
        async with attended(state):
            yield
    finally:
        await state.storage.close()
        await state.database.close()


__all__ = ["Problem", "control_app", "open_state", "running", "serve_api"]
