"""Serves web applications from this process, beside the threads that do the work."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from anyio import to_thread

from contanos.errors import MachineError
from contanos.service.address import Address
from contanos.service.logs import pass_on
from contanos.service.patience import BoundedH11

_THREADS = 8  # that answer what has to wait, such as questions to the bus
_GRACE = 5  # seconds that requests may still take once we stop
_LOOK = 0.005  # seconds between two looks whether all listen

log = structlog.get_logger(__name__)


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()
        self._kept: list[Future[None]] = []
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

    def keep(self, context: AbstractAsyncContextManager[None]) -> None:
        """Enter a context on the event loop, to be left before we stop.

        Raises:
            Exception: what entering it raised.
        """
        assert self._loop, "start first"
        entered: Future[None] = Future()
        held = asyncio.run_coroutine_threadsafe(self._hold(context, entered), self._loop)
        self._kept.append(held)
        entered.result()

    def leave(self) -> None:
        """Leave what was kept; requests are still answered."""
        if self._loop and self._kept:
            self._loop.call_soon_threadsafe(self._leaving.set)
            for each in self._kept:
                each.exception()
            self._kept.clear()

    def stop(self) -> None:
        """Answer what was asked, and let go of the ports."""
        self.leave()
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

    async def _hold(
        self, context: AbstractAsyncContextManager[None], entered: Future[None]
    ) -> None:
        try:
            async with context:
                entered.set_result(None)
                await self._leaving.wait()
        except BaseException as e:
            if entered.done():
                log.exception("what was kept beside the server broke")
            else:
                entered.set_exception(e)
            raise

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
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
        proxy_headers=False,  # whom to believe is the application's affair
        http=BoundedH11,
        ws="websockets-sansio",
        timeout_graceful_shutdown=_GRACE,
    )
