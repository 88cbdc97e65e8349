"""A real PostgreSQL for the session, from the system's package."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

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
    with _server(folder) as url:
        yield url


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """The URL of a database that nobody else has."""
    name = f"test_{next(_numbers)}"
    psql = programs()
    assert psql
    subprocess.run(
        [
            psql / "psql",
            "--quiet",
            f"{postgresql_server}/postgres",
            "-c",
            f"CREATE DATABASE {name}",
        ],
        check=True,
    )
    return f"{postgresql_server}/{name}"


@contextmanager
def _server(programs: Path) -> Iterator[str]:
    """It will not run as root; then it is the user's whom the package made."""
    user = _SYSTEM_USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgresql-") as made:
        folder = Path(made)
        if user:
            shutil.chown(folder, user)
        data, (port,) = folder / "data", free_ports(1)
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        settings = {"listen_addresses": "127.0.0.1", "port": port, "fsync": "off"}
        settings["unix_socket_directories"] = str(folder)
        options = [f"-c{name}={value}" for name, value in settings.items()]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=folder,
            start_new_session=True,
        )
        try:
            _await(programs, port)
            yield f"postgresql://tester@127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _await(programs: Path, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    ask = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ask, check=False).returncode:
        assert time.monotonic() < deadline, "PostgreSQL did not start"
        time.sleep(0.05)
