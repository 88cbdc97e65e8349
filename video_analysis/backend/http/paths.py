"""Paths that are treated in a way of their own."""

from starlette.types import Scope

PREFIX = "/api/v1"

PROBES = frozenset({"/health", "/ready", "/metrics", f"{PREFIX}/health"})
"""Asked by machines, again and again."""

DOCS = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc"})
"""Pages that show the API to people."""

_FORMS = frozenset({"/upload", f"{PREFIX}/uploads"})
_TUS = f"{PREFIX}/uploads/tus"


def takes_upload(path: str) -> bool:
    """Whether bodies of any size may come here; the routes bound them by what a user may store.

    >>> takes_upload("/api/v1/uploads/tus/5e884898da28"), takes_upload("/api/v1/uploads/from-url")
    (True, False)
    """
    return path in _FORMS or path == _TUS or path.startswith(f"{_TUS}/")


def template_of(scope: Scope) -> str:
    """The route that a request was led to, without what its client filled in; `-` for none."""
    found = str(getattr(scope.get("route"), "path", "")) or "-"
    within = scope["path"].startswith(f"{PREFIX}/") and found.startswith("/")
    # Versions of FastAPI differ in whether a route knows the prefix that it was included with.
    return PREFIX + found if within and not found.startswith(f"{PREFIX}/") else found
