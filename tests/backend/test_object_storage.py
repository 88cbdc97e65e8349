"""An object store keeps the contract of storages, over HTTP."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contanos.errors import OutputError, SettingError
from tests.backend.clients import ADMIN, serving
from tests.backend.object_store import bucket_url, object_server
from tests.backend.storage_contract import DATA, StorageContract
from tests.backend.test_uploads import files_of, stored
from tests.backend.videos import UPLOADS, checked, send_form, video
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import open_storage
from video_analysis.backend.storage.object_store import ObjectStorage

__all__ = ["bucket_url", "object_server"]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def storage(bucket_url: str, tmp_path: Path) -> AsyncIterator[ObjectStorage]:
    storage = ObjectStorage(f"{bucket_url}/some/where", tmp_path / "fetched")
    yield storage
    await storage.close()
    assert not [*(tmp_path / "fetched").glob("*")]


class TestObjectStorage(StorageContract):
    """All of it."""


async def test_prefixes_keep_installations_apart(bucket_url: str, tmp_path: Path) -> None:
    here, there = (ObjectStorage(f"{bucket_url}{each}", tmp_path) for each in ("/a", ""))
    await StorageContract.keep(here, tmp_path, "uploads/one")
    assert await there.names("uploads") == []
    assert await there.size("a/uploads/one") == len(DATA)


async def test_a_bucket_that_is_not_there_takes_nothing(bucket_url: str, tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(DATA)
    with pytest.raises(OutputError, match="did not do as asked"):
        await ObjectStorage("s3://no-such-bucket", tmp_path).keep("uploads/one", path)
    with pytest.raises(OutputError, match="did not do as asked"):
        await ObjectStorage("s3://no-such-bucket", tmp_path).ready()
    assert path.read_bytes() == DATA


async def test_files_of_a_dead_process_are_swept(bucket_url: str, tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    program = (
        "import pathlib, time; from video_analysis.backend.storage.scratch import Scratch;"
        f"scratch = Scratch(pathlib.Path({str(fetched)!r})); scratch.path().touch();"
        "print('there', flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"there\n"
        storage = ObjectStorage(bucket_url, fetched)
        await storage.sweep()
        assert len([each for each in fetched.rglob("*") if each.is_file()]) == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
    await storage.sweep()
    assert not [*fetched.iterdir()]


async def test_it_is_what_a_url_leads_to(settings: BackendSettings, bucket_url: str) -> None:
    chosen = settings.model_copy(update={"storage_url": bucket_url})
    assert isinstance(open_storage(chosen), ObjectStorage)


async def test_uploads_are_kept_there(
    settings: BackendSettings, bucket_url: str, tmp_path: Path
) -> None:
    data = video(tmp_path)
    async with serving(settings.model_copy(update={"storage_url": bucket_url})) as server:
        who = await server.log_in(ADMIN)
        made = (await send_form(server.client, who, data)).json()
        found = await checked(server.client, who, made["id"])
        assert found["state"] == "ready"
        assert await stored(server, found["id"]) == data
        assert files_of(settings) == []
        deleted = await server.client.delete(f"{UPLOADS}/{found['id']}", headers=who)
        assert deleted.status_code == 204
        assert await server.state.storage.names("uploads") == []


@pytest.mark.parametrize("url", ["http://x/y", "s3:///prefix", "s3://", "s3://b/../c", "s3://b/?q"])
def test_other_urls_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError):
        ObjectStorage(url, tmp_path)
