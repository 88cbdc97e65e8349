"""A broker that goes on when the command which started it has ended: `make kafka`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from filelock import FileLock

from contanos.testing.kafka.broker import Broker
from contanos.testing.kafka.launch import mark
from contanos.testing.kafka.ports import free_ports, is_free

USUAL_PORT = 9092

_RECORD = "running.json"
_STOP_SECONDS = 30.0


class Running(NamedTuple):
    """A broker in the background.

    Attributes:
        pid: of its process.
        port: that it listens on.
    """

    pid: int
    port: int


def running(folder: Path) -> Running | None:
    """The broker that runs in the folder, or None."""
    return found[0] if (found := _find(folder)) else None


def start(folder: Path) -> Running:
    """Start one unless one runs there, on the usual port where that is free.

    Raises:
        MachineError: Java, Maven or Kafka's jars are missing.
        BusError: it did not come up.
    """
    with _alone(folder):
        return running(folder) or _start(folder)


def stop(folder: Path) -> bool:
    """End the one that runs there; whether there was one."""
    if not folder.is_dir():
        return False
    with _alone(folder):
        if not (found := _find(folder)):
            return False
        _end(found[1])
        (folder / _RECORD).unlink()
        return True


def _start(folder: Path) -> Running:
    port = USUAL_PORT if is_free(USUAL_PORT) else free_ports(1)[0]
    broker = Broker(folder, port, outlives=True)
    broker.start()
    assert broker.pid is not None
    started = Running(broker.pid, port)
    (folder / _RECORD).write_bytes(msgspec.json.encode(started))
    return started


def _find(folder: Path) -> tuple[Running, psutil.Process] | None:
    """What was recorded, if that process still is this folder's broker and no other program."""
    with suppress(FileNotFoundError, msgspec.DecodeError, psutil.NoSuchProcess):
        recorded = msgspec.json.decode((folder / _RECORD).read_bytes(), type=Running)
        process = psutil.Process(recorded.pid)
        if mark(folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
            return recorded, process
    return None


def _end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield
