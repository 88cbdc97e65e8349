"""A folder keeps the contract of storages, on a full disk too."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contanos.errors import OutputError
from tests.backend.storage_contract import DATA, StorageContract
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import open_storage
from video_analysis.backend.storage.folder import FolderStorage

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "files"


@pytest.fixture
def storage(folder: Path) -> FolderStorage:
    return FolderStorage(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Four mebibytes."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("NOT TESTED ON A FULL DISK: mounting one needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


class TestFolderStorage(StorageContract):
    """All of it."""


def everything(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if not each.is_dir()]


async def test_a_full_disk_leaves_nothing_but_the_file(small_disk: Path, tmp_path: Path) -> None:
    storage = FolderStorage(small_disk / "files")
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"x" * 3 * MIB)
    second.write_bytes(DATA)
    await storage.keep("uploads/first", first)
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        await storage.keep("uploads/second", second)
    assert second.read_bytes() == DATA
    assert [each.name for each in everything(small_disk)] == ["first"]
    await storage.remove("uploads/first")
    assert await storage.keep("uploads/second", second) == len(DATA)


async def test_on_one_disk_nothing_is_copied(
    storage: FolderStorage, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one"
    path.write_bytes(DATA)
    inode = path.stat().st_ino
    monkeypatch.setattr(shutil, "copyfile", None)
    await storage.keep("uploads/one", path)
    assert (folder / "uploads" / "one").stat().st_ino == inode


async def test_what_was_kept_before_a_crash_is_kept_again(
    storage: FolderStorage, folder: Path, tmp_path: Path
) -> None:
    """Killed after the new name was given and before the old one was taken away."""
    path = tmp_path / "one"
    path.write_bytes(DATA)
    (folder / "uploads").mkdir(parents=True)
    os.link(path, folder / "uploads" / "one")
    assert await storage.keep("uploads/one", path) == len(DATA)
    assert [each.name for each in everything(folder)] == ["one"]
    assert not path.exists()


async def test_sweeping_removes_what_the_dead_left(
    storage: FolderStorage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "uploads").mkdir(parents=True)
    left = folder / "uploads" / ".one.0badcafe.partial"
    left.write_bytes(b"half")
    await storage.sweep()
    assert left.exists()  # it may be somebody's who lives
    monkeypatch.setattr("video_analysis.backend.storage.folder._DEAD", -1.0)
    assert await storage.names("uploads") == []
    await storage.sweep()
    assert not left.exists()


async def test_a_folder_that_cannot_be_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file")
    with pytest.raises(OutputError):
        await FolderStorage(tmp_path / "taken" / "files").ready()


def test_it_is_what_settings_lead_to(settings: BackendSettings) -> None:
    assert isinstance(open_storage(settings), FolderStorage)
