"""Puts everything around an application that surrounds its requests."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from video_analysis.backend.http.address import Forwarded
from video_analysis.backend.http.body import BodyLimit
from video_analysis.backend.http.buckets import Buckets
from video_analysis.backend.http.cors import EXPOSED, METHODS, SENT
from video_analysis.backend.http.headers import SecurityHeaders
from video_analysis.backend.http.limits import RateLimit
from video_analysis.backend.http.paths import DOCS
from video_analysis.backend.http.requests import Requests
from video_analysis.backend.http.surprises import Surprises
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.state import State


def surround(app: FastAPI, state: State) -> None:
    """Add it all, from the inside out: what is added last is met first.

    In production the pages that show the API are left out: they run scripts of a content delivery
    network in the API's own origin, and people type tokens into them.
    """
    settings = state.settings
    app.state.login_attempts = Buckets(settings.login_attempts_a_minute)
    app.add_middleware(Surprises)
    app.add_middleware(BodyLimit, most=settings.body_bytes, seconds=settings.upload_idle_seconds)
    requests = Buckets(settings.requests_a_minute)
    app.add_middleware(RateLimit, buckets=requests, tokens=state.tokens)
    _guard_origins(app, settings)
    app.add_middleware(SecurityHeaders, production=settings.production)
    app.add_middleware(Requests)
    app.add_middleware(Forwarded, trusted=settings.trusted_proxies)
    if settings.production:
        app.router.routes[:] = [
            each for each in app.router.routes if getattr(each, "path", None) not in DOCS
        ]


def _guard_origins(app: FastAPI, settings: BackendSettings) -> None:
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=EXPOSED,
        )
    if settings.allowed_hosts:
        app.add_middleware(
            TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False
        )
