"""An application of a test's own routes, surrounded as the control plane is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI

from tests.backend.clients import Server, quiet_desk
from video_analysis.backend.app import running, serve_api
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State


@asynccontextmanager
async def surrounded(
    settings: BackendSettings, router: APIRouter | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """It has the control plane's routes besides; its client has this address."""
    app = FastAPI()
    app.include_router(router or APIRouter())
    state = State.of(settings, quiet_desk())
    serve_api(app, state)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 5))
    async with (
        running(state),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        yield Server(state, client, app)
