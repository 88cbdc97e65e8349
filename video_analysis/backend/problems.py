"""Refusals, as problem details (RFC 9457): what happened and what to do."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection

from contanos.errors import BusError, InputError, OutputError
from video_analysis.backend.allowed import allowed_methods

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_COMPONENT = "ProblemDetails"  # services have a `Problem` of their own
_DATA_EXCEPTION = "22"  # the class of SQLSTATE

_MOST_NAMED, _LONGEST_NAME = 16, 100  # faults, and characters of a field's name, in one refusal


class Problem(BaseModel):
    """Why a request was not done."""

    title: str = Field(description="The sort of problem.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="What happened and what to do.", examples=["no task 7f3c9a is yours"]
    )
    request_id: str | None = Field(
        None, description="Tell it to whoever runs the server.", examples=["5b1f0c7e9a2d4e68"]
    )


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's documentation says about them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_COMPONENT}"}}}
    return {each: {"description": _title(each), "content": content} for each in statuses}


def refused(status: int, detail: str, **headers: str) -> HTTPException:
    """To be raised in a route."""
    return HTTPException(status, detail, {key.replace("_", "-"): headers[key] for key in headers})


def explain(app: FastAPI) -> None:
    """Have `app` answer every error as a problem, and describe it."""
    described = app.openapi

    def with_problems() -> dict[str, Any]:
        document = described()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas[_COMPONENT] = Problem.model_json_schema()
        return document

    app.openapi = with_problems  # type: ignore[method-assign]
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid)
    app.add_exception_handler(InputError, _input)
    app.add_exception_handler(BusError, _bus)
    app.add_exception_handler(OutputError, _stored)
    app.add_exception_handler(OperationalError, _stored)
    app.add_exception_handler(DBAPIError, _unstorable)
    app.add_exception_handler(Exception, _unexpected)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = allowed_methods(request.app, request.scope)
    return problem(request, error.status_code, str(error.detail), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    errors = error.errors()
    wrong = [f"{_where(each['loc'])}: {each['msg']}" for each in errors[:_MOST_NAMED]]
    if more := len(errors) - len(wrong):
        wrong.append(f"and {more} more")
    return problem(request, 422, "; ".join(wrong))


async def _input(request: Request, error: Exception) -> JSONResponse:
    return problem(request, 422, str(error))


async def _bus(request: Request, error: Exception) -> JSONResponse:
    """The message may name our own hosts."""
    log.error("the bus cannot be reached", path=request.url.path, cause=str(error))
    detail = "the bus that tasks are ordered by cannot be reached; try again later"
    return problem(request, 503, detail, {"Retry-After": "5"})


async def _stored(request: Request, error: Exception) -> JSONResponse:
    """A disk, a database, an object store; the message may name our own folders."""
    log.error("what is stored cannot be reached", path=request.url.path, cause=str(error))
    detail = "what is stored here cannot be reached, or not written to; try again later"
    return problem(request, 503, detail, {"Retry-After": "5"})


async def _unstorable(request: Request, error: Exception) -> JSONResponse:
    """A character or number from the client that the database has no place for.

    Raises:
        DBAPIError: it was something else; if not that the database ended meanwhile.
    """
    assert isinstance(error, DBAPIError)
    if error.connection_invalidated:
        return await _stored(request, error)
    if not str(getattr(error.orig, "sqlstate", "")).startswith(_DATA_EXCEPTION):
        raise error
    return problem(request, 422, "a character or number in the request cannot be stored")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return unexpected(request)


def unexpected(connection: HTTPConnection) -> JSONResponse:
    """The log has the cause; it is nothing that a client should see."""
    return problem(connection, 500, "something went wrong here; the server's log says what")


def problem(
    connection: HTTPConnection, status: int, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The answer to a request that was not done."""
    request_id = getattr(connection.state, "request_id", None)
    body = Problem(title=_title(status), status=status, detail=detail, request_id=request_id)
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def _where(location: tuple[Any, ...]) -> str:
    """`body.name`, without what a client did not send."""
    return ".".join(str(each)[:_LONGEST_NAME] for each in location)
