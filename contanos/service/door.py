"""Answers while a service is still being made, and leads to the service once it is there."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from contanos.service.answers import Health, Problem, Readiness
from contanos.service.board import Check

_UNAVAILABLE = 503


class Door:
    """An application that is not settled yet: it leads to `app`, which may change.

    Attributes:
        app: any ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self.app(scope, receive, send)


def waiting_app(name: str, started: Check) -> FastAPI:
    """What answers for a service that is being made, as long as it reaches for the bus.

    Args:
        name: of the service.
        started: why it does not work yet.
    """
    app = FastAPI(title=f"contanos {name}", openapi_url=None)

    @app.get("/health")
    async def health() -> Health:
        return Health(healthy=True)

    @app.get("/ready")
    async def ready(response: Response) -> Readiness:
        response.status_code = _UNAVAILABLE
        return Readiness(ready=False, reasons=(started() or "starting",))

    @app.get("/{_:path}")
    async def anything_else(request: Request) -> JSONResponse:
        why = Problem(error=f"{name} does not work yet: {started() or 'starting'}; ask again later")
        return JSONResponse(why.model_dump(), _UNAVAILABLE)

    return app
