"""Fixtures: the control plane on a real database, and clients of it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.backend.clients import ADMIN, Server, serving, serving_all
from tests.backend.postgresql import postgresql, postgresql_server
from tests.backend.stages import working_stages
from video_analysis.backend.database.engine import Database
from video_analysis.backend.settings import BackendSettings
from video_analysis.control.desk import Desk

__all__ = ["ADMIN", "postgresql", "postgresql_server"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> BackendSettings:
    """Of a server of its own."""
    return BackendSettings(
        data_dir=tmp_path / "data", admin_name=ADMIN.name, admin_password=ADMIN.password
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of either sort."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'test.db'}"
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def server(settings: BackendSettings) -> AsyncIterator[Server]:
    """On SQLite."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(serving(settings))


@pytest.fixture
async def backend(settings: BackendSettings) -> AsyncIterator[Server]:
    """All that answers on port 8000, on SQLite."""
    async with serving_all(settings) as server:
        yield server


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """All stages on memory://, for every test that has tasks done."""
    with working_stages(tmp_path_factory.mktemp("stages")) as desk:
        yield desk


@pytest.fixture
async def platform(settings: BackendSettings, stages: Desk) -> AsyncIterator[Server]:
    """On SQLite, with stages that do what is ordered."""
    async with serving(settings, stages) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BackendSettings.model_fields:
        monkeypatch.delenv(f"CONTANOS_{name.upper()}", raising=False)
