"""A control plane as a process of its own, with real sockets, that tests may kill.

It has no stages, unless it is a `WorkingServer`.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from contanos.service.address import Address
from contanos.service.logs import log_to_stderr
from contanos.service.server import Server, Site
from contanos.testing.kafka.ports import free_ports
from tests.backend.clients import ADMIN, Person, quiet_desk
from video_analysis.backend.app import control_app
from video_analysis.backend.settings import read_backend_settings
from video_analysis.backend.state import State
from video_analysis.control.desk import Desk

_START_SECONDS = 60.0


class LiveServer:
    """A server on a free port of 127.0.0.1; started again, it finds what it left.

    Args:
        data_dir: its folder.
        settings: by name, as in the environment without its prefix.
    """

    def __init__(self, data_dir: Path, **settings: object) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/api/v1"
        self.data_dir = data_dir
        given = {"data_dir": data_dir, "admin_name": ADMIN.name, "admin_password": ADMIN.password}
        told = {f"CONTANOS_{key.upper()}": str(value) for key, value in (given | settings).items()}
        self._environment = os.environ | told
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Return once it answers."""
        command = [sys.executable, "-m", "tests.backend.live", str(self.port), *self._stages()]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                httpx.get(f"{self.url}/openapi.json", timeout=10)
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError("the server did not start")

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self._process.pid if self._process else None

    def kill(self) -> None:
        """End it, and the processes it has, at once."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _stages(self) -> list[str]:
        return []

    def log_in(self, who: Person = ADMIN) -> dict[str, str]:
        """The headers of somebody who has logged in."""
        answer = httpx.post(f"{self.api}/login", json=who._asdict(), timeout=30)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def make_key(self, who: Person = ADMIN, *scopes: str) -> str:
        """An API key of theirs."""
        wish = {"name": "tests", "scopes": scopes or ("read", "write")}
        answer = httpx.post(f"{self.api}/keys", json=wish, headers=self.log_in(who), timeout=30)
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["key"]
        return key


class WorkingServer(LiveServer):
    """It has all stages in its process, on memory://, so that tasks are done."""

    def _stages(self) -> list[str]:
        return [str(self.data_dir.with_name(f"{self.data_dir.name}-stages"))]


def _desk(stages: str | None) -> AbstractContextManager[Desk]:
    if stages is None:
        return nullcontext(quiet_desk())
    from tests.backend.stages import working_stages  # they need seconds, and memory

    return working_stages(Path(stages))


def main(port: str, stages: str | None = None) -> None:
    log_to_stderr("warning")
    with _desk(stages) as desk:
        state = State.of(read_backend_settings(), desk)
        Server([Site(control_app(state), Address("127.0.0.1", int(port)))]).start()
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
