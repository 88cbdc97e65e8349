"""Which methods an address has, for answers that one it has not was tried (405)."""

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import Scope

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def allowed_methods(app: FastAPI, scope: Scope) -> str:
    """For the header `Allow`: those of all routes, where each by itself names but its own.

    Args:
        app: the application.
        scope: of the request.
    """
    return ", ".join(each for each in _METHODS if _takes(app, {**scope, "method": each}))


def _takes(app: FastAPI, scope: Scope) -> bool:
    return any(each.matches(dict(scope))[0] is Match.FULL for each in app.router.routes)
