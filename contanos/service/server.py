"""Serves web applications from this process, beside the threads that do the work."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import uvicorn
from anyio import to_thread

from contanos.errors import MachineError
from contanos.service.address import Address
from contanos.service.logs import pass_on

_THREADS = 8  # that answer what has to wait, such as questions to the bus
_GRACE = 5  # seconds that requests may still take once we stop
_LOOK = 0.005  # seconds between two looks whether all listen


@dataclass(frozen=True, slots=True)
class Site:
    """An application and where it answers.

    Attributes:
        app: any ASGI application.
        address: where it listens.
        remedy: what a person can do where the port is taken.
    """

    app: Any
    address: Address
    remedy: str = "choose another port"


class Server:
    """Serves sites on one thread with one event loop, until `stop`."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._servers: list[uvicorn.Server] = []
        self._thread: threading.Thread | None = None
        self._settled = threading.Event()
        self.addresses: list[Address] = []
        """Where each site listens, once started."""

    def start(self) -> None:
        """Return once all sites answer.

        Raises:
            SettingError: a port is taken, or the host is not this machine.
            MachineError: an application did not start.
        """
        pass_on("uvicorn")
        sockets = self._listen()
        self.addresses = [Address(*each.getsockname()[:2]) for each in sockets]
        self._servers = [uvicorn.Server(_config(site)) for site in self._sites]
        self._thread = threading.Thread(target=self._run, args=(sockets,), name="http", daemon=True)
        self._thread.start()
        self._settled.wait()
        if not all(server.started for server in self._servers):
            self.stop()
            raise MachineError("a web application did not start; the log lines above say why")

    def stop(self) -> None:
        """Answer what was asked, and let go of the ports."""
        for server in self._servers:
            server.should_exit = True
        if self._thread:
            self._thread.join()
            self._thread = None

    def _listen(self) -> list[socket.socket]:
        with ExitStack() as on_failure:
            sockets = [
                on_failure.enter_context(site.address.listen(site.remedy)) for site in self._sites
            ]
            on_failure.pop_all()
            return sockets

    def _run(self, sockets: Sequence[socket.socket]) -> None:
        try:
            asyncio.run(self._serve(sockets))
        finally:
            self._settled.set()
            for each in sockets:
                each.close()

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        pairs = zip(self._servers, sockets, strict=True)
        serving = [asyncio.create_task(server.serve([each])) for server, each in pairs]
        while not all(server.started for server in self._servers):
            if any(task.done() for task in serving):
                break
            await asyncio.sleep(_LOOK)
        self._settled.set()
        await asyncio.gather(*serving)


def _config(site: Site) -> uvicorn.Config:
    return uvicorn.Config(
        site.app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=_GRACE,
    )
