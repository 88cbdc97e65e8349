"""The OpenAPI document: what it says beyond the routes themselves."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from contanos import __version__
from video_analysis.backend.http.requests import HEADER
from video_analysis.backend.problems import MEDIA_TYPE, Problem, refusals

ABOUT: dict[str, Any] = {
    "title": "contanos",
    "version": __version__,
    "summary": "People in videos: found, posed, identified, frame by frame.",
    "description": "Log in at `/api/v1/login`, or make an API key at `/api/v1/keys`; bring a video "
    "to `/api/v1/uploads`; make a task of it at `/api/v1/tasks`; follow it, and fetch its results. "
    "What is not yours is answered as if it were not there. Every refusal is a problem detail "
    "(RFC 9457) that says what happened and what to do.",
    "license_info": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "servers": [{"url": "/", "description": "This server."}],
    "openapi_tags": [
        {"name": "health", "description": "Whether the control plane works; anybody may ask."},
        {"name": "admin", "description": "What administrators look at."},
        {"name": "login", "description": "Coming in and going out."},
        {"name": "users", "description": "Accounts."},
        {"name": "keys", "description": "API keys, for programs."},
        {"name": "uploads", "description": "Videos: in a form, by tus 1.0, from elsewhere."},
        {"name": "tasks", "description": "What is done with videos."},
        {"name": "results", "description": "What came of it: frames, tracks, files, exports."},
        {
            "name": "live",
            "description": "Tasks while they run. Their frames' results come by a WebSocket at "
            "`/api/v1/tasks/{task_id}/frames/live`, which this sort of document has no words for.",
        },
        {"name": "seed", "description": "The three calls that this project began with."},
        {"name": "service", "description": "What every service of the installation answers."},
    ],
}
"""For `FastAPI`."""

_DETAILS = {
    400: "There was an error parsing the body",
    401: "log in, or send an API key",
    403: "this needs the scope 'write', which you do not have",
    404: "no task 9f86d081884c7d659a2feaa0 is yours",
    408: "no byte came for 30 s: send it again",
    409: "the task is over: it has completed",
    410: "it was refused: the file holds only audio",
    412: "Tus-Resumable: this server speaks 1.0.0",
    413: "the body is longer than 1048576 bytes; only uploads may be",
    415: "Content-Type: send application/offset+octet-stream",
    416: "Range: the file has 1048576 bytes",
    422: "query.limit: Input should be less than or equal to 200",
    423: "another request is sending bytes of this upload",
    429: "too many requests: go on in 3 s",
    503: "what is stored here cannot be reached, or not written to; try again later",
    507: "the server's disk is full: try again once its operator has made room",
}

_FASTAPIS = "Validation Error"  # its own words for what we answer as a problem
_TEXT = {"type": "string"}
_SECONDS = {"type": "string", "pattern": "^[0-9]+$"}
_MARK: dict[str, Any] = {
    "description": "Of the request; log lines have it too.",
    "required": True,
    "schema": _TEXT,
    "example": "5b1f0c7e9a2d4e68",
}
_LATER = {"description": "Seconds.", "required": True, "schema": _SECONDS, "example": "5"}
_HEADERS: dict[str, dict[str, Any]] = {
    "401": {
        "WWW-Authenticate": {
            "description": "How to come in.",
            "required": True,
            "schema": _TEXT,
            "example": "Bearer",
        }
    },
    "429": {"Retry-After": _LATER},
    "503": {"Retry-After": _LATER},
}


def describe(app: FastAPI) -> None:
    """Have the application's document say what it has in common for all routes."""
    described = app.openapi

    def completed() -> dict[str, Any]:
        document = described()
        for operation in _operations(document):
            _complete(operation)
        for each in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(each, None)
        return document

    app.openapi = completed  # type: ignore[method-assign]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in document["paths"].values():
        yield from each.values()


def _complete(operation: dict[str, Any]) -> None:
    responses = _refusals(408, 413, 429) | operation["responses"]
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        responses |= _refusals(400)
    if responses.get("422", {}).get("description") == _FASTAPIS:
        responses |= _refusals(422)
    for status, said in responses.items():
        marked = {HEADER: _MARK}
        if problem := said.get("content", {}).get(MEDIA_TYPE):
            said["content"] = {MEDIA_TYPE: problem | {"example": _example(int(status))}}
            marked |= _HEADERS.get(status, {})
        said["headers"] = said.get("headers", {}) | marked
    operation["responses"] = dict(sorted(responses.items()))


def _refusals(*statuses: int) -> dict[str, Any]:
    return {str(status): said for status, said in refusals(*statuses).items()}


def _example(status: int) -> dict[str, Any]:
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_DETAILS[status],
        request_id=_MARK["example"],
    ).model_dump()
