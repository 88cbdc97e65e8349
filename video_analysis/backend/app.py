"""The control plane's application: `/api/v1`, and the seed's three calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.types import Lifespan

from contanos.service.children import say
from video_analysis.backend.accounts.first import make_first_admin
from video_analysis.backend.document import ABOUT, describe
from video_analysis.backend.forget import forgetting
from video_analysis.backend.http.paths import PREFIX
from video_analysis.backend.http.surround import surround
from video_analysis.backend.problems import Problem, explain, refusals
from video_analysis.backend.reach import Reach
from video_analysis.backend.routes import (
    accounts,
    admin,
    health,
    keys,
    live,
    login,
    results,
    seed,
    tasks,
    tus,
    uploads,
)
from video_analysis.backend.state import State
from video_analysis.backend.uploads.sweeper import attended

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    admin.router,
    login.router,
    accounts.router,
    keys.router,
    tus.router,
    uploads.router,
    tasks.router,
    results.router,
    live.router,
)

_ANYWHERE = refusals(408, 413, 422, 429, 503)  # said by what surrounds and reads every request


def control_app(state: State) -> FastAPI:
    """The application. Its database is opened, and the first account made, as it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(state):
            yield

    app = new_app(lifespan)
    serve_api(app, state)
    return app


def new_app(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """An application without routes."""
    # Redirecting to a path with one slash less would lead to whatever a client wrote in `Host`.
    return FastAPI(**ABOUT, lifespan=lifespan, redirect_slashes=False)


def serve_api(app: FastAPI, state: State) -> None:
    """Add the control plane's routes to an application, and what surrounds requests of all."""
    app.state.shared = state
    app.state.reach = Reach(state)
    surround(app, state)
    explain(app)
    describe(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX, responses=_ANYWHERE)
    app.include_router(seed.router, responses=_ANYWHERE)


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
    await state.exports.sweep()
    try:
        async with (
            forgetting(state.database, state.settings),
            attended(state),
            state.office.open(),
            state.live.open(),
        ):
            yield
    finally:
        await state.exports.close()
        await state.storage.close()
        await state.database.close()


__all__ = ["PREFIX", "Problem", "control_app", "new_app", "open_state", "running", "serve_api"]
