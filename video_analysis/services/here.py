"""Services in this process.

The web side answers first; then the bus is reached, models are loaded, and work begins.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from contanos.service.address import Address
from contanos.service.answers import ServiceInfo
from contanos.service.app import service_app
from contanos.service.board import Board, Check
from contanos.service.children import say, warn
from contanos.service.door import Door, waiting_app
from contanos.service.server import Server, Site
from contanos.service.stopping import Stopping
from video_analysis.settings import Settings

FAILED = 1

_LOOK = 0.2  # seconds between two looks at the threads
_DEAD = 10.0  # seconds that /health tells the cause before the process ends
_LOADING = 5.0  # seconds that a process which is starting has to notice that it should stop
_PATIENCE = 40.0  # seconds that a process without a parent has to stop


class Web(Protocol):
    """The web side of a service that answers more than every service does."""

    def app(self, alive: Check, started: Check) -> FastAPI:
        """All that it answers.

        Args:
            alive: None, or what is broken for good.
            started: None, or why it does not work yet, or no longer.
        """

    def running(self) -> AbstractAsyncContextManager[None]:
        """What goes on beside requests, on their event loop."""


class Services(Protocol):
    """Some services of the platform in one process.

    Attributes:
        boards: what `/tasks` of each service shows.
        infos: what `/` of each service shows.
        registry: what this process counts.
        webs: of the services that answer more than that.
    """

    boards: Mapping[str, Board]
    infos: Mapping[str, ServiceInfo]
    registry: CollectorRegistry
    webs: Mapping[str, Web]

    def start(self) -> None:
        """Load models and start every thread; may take a while."""

    def stop(self) -> None:
        """In the order of the flow, within bounds; what was not committed will come again.

        It may be called without `start`, or after one that raised.
        """

    def dead(self) -> str | None:
        """Why only a new process would help, or None."""


Assemble = Callable[[Sequence[str], Settings], Services]
Doors = Mapping[str, Door]


class Phase:
    """Whether services are starting, working or stopping; `/ready` says so."""

    def __init__(self) -> None:
        self._why: str | None = "starting: reaching the bus"

    def loads(self) -> None:
        """The bus is reached."""
        self._why = "starting: models are being loaded"

    def works(self) -> None:
        """Everything has started."""
        self._why = None

    def stops(self) -> None:
        """Everything is about to end."""
        self._why = "stopping"

    def why_not(self) -> str | None:
        """Why no work is done, or None."""
        return self._why


class Start:
    """The start of services, on a thread of its own: signals are heard meanwhile.

    Args:
        assemble: makes the services.
        phase: told how far it is.
        doors: by name; they lead to the services once these are made.
        server: behind the doors; it runs.

    Attributes:
        services: once they are made.
    """

    def __init__(
        self, assemble: Callable[[], Services], phase: Phase, doors: Doors, server: Server
    ) -> None:
        self.services: Services | None = None
        self._server = server
        self._assemble = assemble
        self._phase = phase
        self._doors = doors
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="start", daemon=True)

    def done(self, stopping: Stopping) -> bool:
        """Start, and wait; False if something asked for the end before.

        What cannot be interrupted, as in the middle of a download, is left: no work has begun.
        """
        self._thread.start()
        while self._thread.is_alive():
            if stopping.wait(_LOOK):
                self._thread.join(_LOADING)
                if self._thread.is_alive():
                    os._exit(0)
                return False
        if self._fault:
            raise self._fault
        return True

    def _run(self) -> None:
        try:
            self.services = self._assemble()
            self._phase.loads()
            for web in self.services.webs.values():
                self._server.keep(web.running())
            for name, door in self._doors.items():
                door.app = self._app(self.services, name)
            self.services.start()
        except BaseException as e:  # raised again by the thread that waits
            self._fault = e

    def _app(self, services: Services, name: str) -> FastAPI:
        if web := services.webs.get(name):
            return web.app(services.dead, self._phase.why_not)
        return service_app(
            services.infos[name],
            services.boards[name],
            services.registry,
            alive=services.dead,
            started=self._phase.why_not,
        )


def run_here(
    places: Mapping[str, Address],
    settings: Settings,
    assemble: Assemble,
    remedy: str,
    supervised: bool = False,
) -> int:
    """Carry services in this process until it is asked to stop.

    Args:
        places: where each service listens, by name.
        settings: of the installation.
        assemble: makes the services.
        remedy: what a person can do where a port is taken.
        supervised: whether standard input is a pipe to the process that supervises this one.

    Returns:
        An exit status: 0 after a signal, 1 where a service died for good.

    Raises:
        ContanosError: something is missing that services need.
    """
    stopping, phase = Stopping(), Phase()
    doors = {name: Door(waiting_app(name, phase.why_not)) for name in places}
    server = Server([Site(doors[name], address, remedy) for name, address in places.items()])
    start = Start(lambda: assemble(list(places), settings), phase, doors, server)
    if supervised:
        stopping.with_parent(_PATIENCE)
    with stopping.on_signals():
        server.start()
        try:
            if not start.done(stopping):
                return 0
            assert start.services
            if not supervised:
                _announce(places, start.services)
            phase.works()
            return _watched(start.services, stopping)
        finally:
            phase.stops()
            server.leave()
            if start.services:
                start.services.stop()
            server.stop()


def _announce(places: Mapping[str, Address], services: Services) -> None:
    for name, address in places.items():
        if reasons := services.boards[name].reasons_not_ready():
            warn(f"{name} is not ready yet: {'; '.join(reasons)}")
        else:
            say(f"{name} is ready: {address.url}")


def _watched(services: Services, stopping: Stopping) -> int:
    """Wait for the end; the exit status."""
    alive_at = time.monotonic()
    while not stopping.wait(_LOOK):
        reason = services.dead()
        if reason is None:
            alive_at = time.monotonic()
        elif time.monotonic() - alive_at > _DEAD:
            warn(f"ending, so that a new process may do better: {reason}")
            return FAILED
    return 0
