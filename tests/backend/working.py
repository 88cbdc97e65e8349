"""One server with all stages, for every test of its clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contanos.client import Client
from tests.backend.live import WorkingServer


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingServer]:
    """Each test finds what others left."""
    with WorkingServer(tmp_path_factory.mktemp("working") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def key(working: WorkingServer) -> str:
    """Of its administrator."""
    return working.make_key()


@pytest.fixture
def client(working: WorkingServer, key: str) -> Iterator[Client]:
    with Client(working.url, key) as client:
        yield client


@pytest.fixture(scope="session")
def upload_id(working: WorkingServer, key: str, demo_video: Path) -> str:
    """The walker, ready."""
    with Client(working.url, key) as client:
        return client.checked(client.upload(demo_video, name="walk.mp4")).id
