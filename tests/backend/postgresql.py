"""A real PostgreSQL for the session, from the system's package."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from contanos.testing.kafka.ports import free_ports

_START_SECONDS = 30.0
_SYSTEM_USER = "postgres"

_numbers = count()


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found and (elsewhere := shutil.which("postgres")):
        found = [Path(elsewhere).resolve()]
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server, without a database's name."""
    folder = programs()
    if folder is None:
        if os.environ.get("CI"):
            raise RuntimeError("CI tests PostgreSQL: apt-get install postgresql")
        pytest.skip("NOT TESTED ON POSTGRESQL: on Debian, apt-get install postgresql")
    with PostgreSQL(folder) as server:
        yield server.url


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """The URL of a database that nobody else has."""
    return new_database(postgresql_server)


def new_database(server: str) -> str:
    """The URL of a new database on a server."""
    name, folder = f"test_{next(_numbers)}", programs()
    assert folder
    command = [folder / "psql", "--quiet", f"{server}/postgres", "-c", f"CREATE DATABASE {name}"]
    subprocess.run(command, check=True)
    return f"{server}/{name}"


class PostgreSQL:
    """A server on a free port of 127.0.0.1, which may be stopped and started again.

    It will not run as root; then it is the user's whom the package made.

    Args:
        programs: the folder of its programs.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None
        self._made = tempfile.TemporaryDirectory(prefix="postgresql-")
        self._folder = Path(self._made.name)
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without a database's name."""
        return f"postgresql://tester@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Return once it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "fsync": "off"}
        settings["unix_socket_directories"] = str(self._folder)
        options = [f"-c{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._folder / "data", *options],
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
            start_new_session=True,
        )
        _await(self._programs, self._port)

    def stop(self) -> None:
        """At once: clients lose their connections."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        if self._user:
            shutil.chown(self._folder, self._user)
        command = ["initdb", "-D", self._folder / "data", "-U", "tester", "-A", "trust", "-N"]
        subprocess.run(
            [self._programs / command[0], *command[1:]],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self._folder,
        )
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._made.cleanup()


def _await(programs: Path, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    ask = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ask, check=False).returncode:
        assert time.monotonic() < deadline, "PostgreSQL did not start"
        time.sleep(0.05)
