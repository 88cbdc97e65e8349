"""A real broker and real service processes, for as long as a measurement needs them."""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from contanos.errors import BusError, MachineError
from contanos.testing.kafka import Broker
from contanos.testing.kafka.ports import free_ports
from video_analysis.services import SERVICES

BROKER = "broker"

_START = 180.0  # seconds that a service may take until it is ready
_STOP = 60.0
_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Usage:
    """Of each process by its name, and of all that passed meanwhile.

    Attributes:
        cpu: seconds of all cores.
        seconds: of the clock.
    """

    cpu: Mapping[str, float]
    seconds: float

    def since(self, before: "Usage") -> "Usage":
        """What was used from `before` on."""
        cpu = {name: spent - before.cpu.get(name, 0.0) for name, spent in self.cpu.items()}
        return Usage(cpu, self.seconds - before.seconds)


class Deployment:
    """Processes that run; use `deployed`.

    Attributes:
        url: of the bus that they share.
        ports: where each service answers, by name.
    """

    def __init__(self, url: str, broker: int, folder: Path) -> None:
        self.url = url
        self.ports: dict[str, int] = {}
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._watched = {BROKER: psutil.Process(broker)}

    def start(self, services: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one process for each name, `yolox`, or `yolox-2` for another; await that they work.

        Raises:
            MachineError: one ended, or did not get ready in time.
        """
        ports = dict(zip(services, free_ports(len(services)), strict=True))
        self.ports |= ports
        for name, port in ports.items():
            process = self._begin(name, port, environment)
            self._started[name], self._watched[name] = process, psutil.Process(process.pid)
        deadline = time.monotonic() + _START
        for name, port in ports.items():
            while not _ready(port):
                if self._started[name].poll() is not None or time.monotonic() > deadline:
                    raise MachineError(f"{name} did not get ready:\n{self._said(name)}")
                time.sleep(_LOOK)

    def usage(self) -> Usage:
        """CPU time until now."""
        cpu = {name: _cpu(process) for name, process in self._watched.items()}
        return Usage(cpu, time.perf_counter())

    def memory(self) -> dict[str, float]:
        """Resident memory of each process now, in MB."""
        return {name: each.memory_info().rss / 1e6 for name, each in self._watched.items()}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No service runs meanwhile: what else is measured has the machine for itself.

        The broker goes on, idle: clients whose broker was stopped for longer than its session would
        not be those that we measure.
        """
        for process in self._started.values():
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self._started.values():
                process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the services, all at once."""
        for process in self._started.values():
            process.terminate()
        for process in self._started.values():
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()
        self._started.clear()

    def _begin(
        self, name: str, port: int, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        service = name.partition("-")[0]
        command = [sys.executable, "-m", "video_analysis.services", service, "--port", str(port)]
        with (self._folder / f"{name}.log").open("wb") as said:
            return subprocess.Popen(
                [*command, "--bus", self.url, "--supervised"],
                stdin=subprocess.PIPE,  # closes with us, however we end; the service then ends too
                stdout=said,
                stderr=said,
                env={**os.environ, "CONTANOS_DATA_DIR": str(self._folder / "data"), **environment},
            )

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")[-2000:]


@contextmanager
def deployed(
    services: Sequence[str] = tuple(SERVICES), environment: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """A broker on a free port, and services on it, all with this environment besides our own.

    Raises:
        MachineError: Kafka or a service cannot run here.
    """
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Broker(Path(folder, BROKER)) as broker,
    ):
        if broker.pid is None:
            raise BusError("the broker has ended")
        deployment = Deployment(broker.url, broker.pid, Path(folder))
        try:
            deployment.start(services, environment or {})
            yield deployment
        finally:
            deployment.stop()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
