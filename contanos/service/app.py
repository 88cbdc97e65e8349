"""The web side of a service: what it is, whether it works, and how far it is."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Path, Request, Response
from fastapi.params import Depends
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException

from contanos.bus.topics import PATTERN, checked_task_id
from contanos.errors import BusError, InputError
from contanos.service.answers import Health, Problem, Readiness, ServiceInfo, TaskRow
from contanos.service.board import Board, Check
from contanos.service.gauges import service_registry

__all__ = ["ServiceInfo", "add_service_routes", "service_app"]

_UNKNOWN, _UNUSABLE, _UNAVAILABLE = 404, 422, 503
_OF_ONE = (_UNKNOWN, _UNUSABLE)

TaskId = Annotated[
    str,
    Path(
        description="Of a task.",
        examples=["7f3c"],
        json_schema_extra={"pattern": PATTERN},  # refused in our own words
    ),
]

Refusals = Mapping[int | str, dict[str, Any]]
"""By status, what OpenAPI says of an answer."""

_REFUSALS: Refusals = {status: {"model": Problem} for status in (_UNKNOWN, _UNUSABLE, _UNAVAILABLE)}


_COUNTS = {
    each: {"schema": {"type": "string"}, "example": "contanos_frames_total 3840.0\n"}
    for each in ("text/plain", "application/openmetrics-text")
}


def fine() -> None:
    """A check that finds nothing."""


def service_app(
    info: ServiceInfo,
    board: Board,
    registry: CollectorRegistry,
    alive: Check = fine,
    started: Check = fine,
) -> FastAPI:
    """The routes that every service has.

    What asks the bus is answered by a thread, so that `/` and `/health` answer at once even while
    a broker is away.

    Args:
        info: what `/` says.
        board: what `/tasks` shows, with those beside it, and half of what `/ready` says.
        registry: what this process counts.
        alive: None, or what is broken for good; `/health` says it.
        started: None, or why it cannot work yet, or no longer; `/ready` says it.
    """
    app = FastAPI(title=f"contanos {info.name}", description=info.summary, version=info.version)
    add_service_routes(app, info, board, registry, alive, started)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(InputError, _unusable)
    app.add_exception_handler(BusError, _unavailable)
    return app


def add_service_routes(
    app: FastAPI,
    info: ServiceInfo,
    board: Board,
    registry: CollectorRegistry,
    alive: Check = fine,
    started: Check = fine,
    guard: Sequence[Depends] = (),
    refusals: Refusals = _REFUSALS,
) -> None:
    """The same routes on an application that has others too, and answers faults in its own way.

    Args:
        app: gets the routes.
        info: as for `service_app`.
        board: likewise.
        registry: likewise.
        alive: likewise.
        started: likewise.
        guard: what lets somebody see all tasks.
        refusals: how the application answers faults.
    """
    app.include_router(_life(info, board, alive, started))
    app.include_router(_tasks(info, board, refusals), dependencies=list(guard))
    app.include_router(_metrics(service_registry(registry, info.stages or [board.stage], board)))


def _life(info: ServiceInfo, board: Board, alive: Check, started: Check) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/")
    async def what_it_is() -> ServiceInfo:
        """What this service is, and the topics that it reads and writes."""
        return info

    @router.get("/health", responses={_UNAVAILABLE: {"model": Health}})
    async def health(response: Response) -> Health:
        """200 while the process and its runners live; otherwise it wants a restart."""
        reason = alive()
        if reason:
            response.status_code = _UNAVAILABLE
        return Health(healthy=reason is None, reason=reason)

    @router.get("/ready", responses={_UNAVAILABLE: {"model": Readiness}})
    def ready(response: Response) -> Readiness:
        """200 once the model is loaded and the broker is reached."""
        ours = [why for check in (alive, started) if (why := check())]
        reasons = (*ours, *board.reasons_not_ready())
        if reasons:
            response.status_code = _UNAVAILABLE
        return Readiness(ready=not reasons, reasons=reasons)

    return router


def _tasks(info: ServiceInfo, board: Board, refusals: Refusals) -> APIRouter:
    router = APIRouter(tags=["service"])
    of_one = dict(refusals)
    of_all = {status: said for status, said in of_one.items() if status not in _OF_ONE}

    @router.get("/tasks", responses=of_all)
    def tasks() -> list[TaskRow]:
        """How far this service's stages are with every task."""
        return [row for each in board.all for row in each.rows().values()]

    @router.get("/tasks/{task_id}", responses=of_one)
    def task(task_id: TaskId) -> TaskRow:
        """How far this stage is with one task."""
        row = board.rows().get(checked_task_id(task_id))
        if row is None:
            known = f"no task {task_id} is known to {info.name}; /tasks lists those that are"
            raise HTTPException(_UNKNOWN, known)
        return row

    return router


def _metrics(registry: CollectorRegistry) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": _COUNTS}},
    )
    def metrics(
        accept: Annotated[
            str, Header(description="Which of the two formats.", examples=["text/plain"])
        ] = "*/*",
    ) -> Response:
        """Counts for Prometheus."""
        encode, media_type = choose_encoder(accept)
        return Response(encode(registry), headers={"content-type": media_type})

    return router


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, error.detail)


async def _unusable(_: Request, error: Exception) -> JSONResponse:
    return _problem(_UNUSABLE, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return _problem(_UNAVAILABLE, str(error))


def _problem(status: int, error: str) -> JSONResponse:
    return JSONResponse(Problem(error=error).model_dump(), status)
