"""A whole installation in processes of their own, to be killed, frozen and started again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from contanos.testing.kafka.ports import free_ports
from video_analysis.services import SERVICES

KINDS = tuple(SERVICES)
SESSION_SECONDS = 3.0

_READY_SECONDS = 120.0
_STOP_SECONDS = 45.0
_LAST_LINES = 25


def _as_environment(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"CONTANOS_{key.upper()}": str(value) for key, value in settings.items()}


class Service:
    """One process of a service.

    Args:
        kind: which service.
        url: of the bus.
        log: where what it says goes.
        settings: the environment's `CONTANOS_...`.
    """

    def __init__(self, kind: str, url: str, log: Path, settings: Mapping[str, str]) -> None:
        self.kind = kind
        self.log = log
        self.port = free_ports(1)[0]
        # Standard input is a pipe that ends with this process: then it ends too, however that was.
        module = [sys.executable, "-m", "video_analysis.services", kind]
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [*module, "--port", str(self.port), "--bus", url, "--supervised"],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                env=os.environ | settings,
                start_new_session=True,
            )

    def __str__(self) -> str:
        return f"{self.log.stem} (pid {self._process.pid})"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """As the machine's lack of memory would: SIGKILL."""
        self._process.kill()
        self.wait()

    def freeze(self) -> None:
        """As a machine that hangs: nothing of it runs, and nobody is told."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was, and knows nothing of the time between."""
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def wait(self, seconds: float = _STOP_SECONDS) -> int:
        """Its exit status, once it has ended."""
        status = self._process.wait(seconds)
        if self._process.stdin:
            self._process.stdin.close()
        return status

    def ready(self) -> bool:
        """Whether it says that it works."""
        with suppress(OSError):
            return (
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=2).status
                == 200
            )
        return False

    def last_words(self) -> str:
        """The end of what it said."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n    ".join([f"--- {self}", *lines])


class Installation:
    """Services that talk over one bus. Within `with` they run; after it none is left.

    Args:
        url: of the bus.
        folder: for the logs, one file a process.
        settings: the environment's `CONTANOS_...`, over what suits a test.
    """

    def __init__(self, url: str, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.services: list[Service] = []
        self._url = url
        self._started = 0
        given: dict[str, object] = {
            "kafka_session_seconds": SESSION_SECONDS,
            "workers": 1,
            "grace_seconds": 2,
            "data_dir": folder / "data",
        }
        given |= settings
        self._settings = _as_environment(given)
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, kind: str, **settings: object) -> Service:
        """One more process of a service, with settings of its own; it is not ready yet."""
        self._started += 1
        log = self.folder / f"{kind}-{self._started}.log"
        service = Service(kind, self._url, log, self._settings | _as_environment(settings))
        self.services.append(service)
        return service

    def of(self, kind: str) -> list[Service]:
        """The processes of a service, the oldest first."""
        return [each for each in self.services if each.kind == kind]

    def kill(self, service: Service) -> None:
        """SIGKILL, and gone."""
        self.services.remove(service)
        service.kill()

    def await_ready(self, *services: Service) -> None:
        """Return once these are ready."""
        deadline = time.monotonic() + _READY_SECONDS
        waiting = list(services)
        while waiting := [each for each in waiting if not each.ready()]:
            self.check()
            assert time.monotonic() < deadline, "\n".join(each.last_words() for each in waiting)
            time.sleep(0.1)

    def check(self) -> None:
        """Nobody has ended unasked."""
        dead = [each for each in self.services if not each.alive]
        assert not dead, "\n".join(each.last_words() for each in dead)

    def stop(self) -> None:
        """Ask all to stop, as Ctrl-C would, and wait; every one ends well."""
        for each in self.services:
            each.terminate()
        statuses = {str(each): each.wait() for each in self.services}
        self.services.clear()
        assert not any(statuses.values()), statuses

    def __enter__(self) -> Self:
        for kind in KINDS:
            self.start(kind)
        self.await_ready(*self.services)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error:
            print(f"{error}", f"all logs: {self.folder}", sep="\n")
            print(*(each.last_words() for each in self.services), sep="\n", flush=True)
        for each in list(self.services):
            self.kill(each)
