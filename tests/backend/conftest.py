"""Fixtures: the control plane on a real database, and clients of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.backend.clients import ADMIN, Server, serving
from tests.backend.postgresql import postgresql, postgresql_server
from video_analysis.backend.database.engine import Database
from video_analysis.backend.settings import BackendSettings

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


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BackendSettings.model_fields:
        monkeypatch.delenv(f"CONTANOS_{name.upper()}", raising=False)
