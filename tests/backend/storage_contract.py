"""What every storage must do; inherited by the tests of each."""

from pathlib import Path

import pytest

from contanos.errors import OutputError, SettingError
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import CHUNK, result_name, upload_name

DATA = bytes(range(256)) * (CHUNK // 256 * 2) + b"the end"

HOSTILE = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "../secret",
    "uploads/../../secret",
    "uploads/./x",
    "uploads//x",
    "uploads/",
    "uploads/.hidden",
    "uploads/a\x00b",
    "uploads/a\nb",
    "uploads\\..\\x",
    "uploads/%2e%2e/x",
    "uploads/" + "x" * 200,
    "a/" * 20 + "a",
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class StorageContract:
    """Give it a fixture `storage`."""

    pytestmark = pytest.mark.anyio

    @staticmethod
    async def keep(storage: Storage, folder: Path, name: str, data: bytes = DATA) -> Path:
        path = folder / "taken-in"
        path.write_bytes(data)
        assert await storage.keep(name, path) == len(data)
        return path

    @staticmethod
    async def read(
        storage: Storage, name: str, start: int = 0, end: int | None = None
    ) -> list[bytes]:
        return [piece async for piece in storage.read(name, start, end)]

    async def test_what_is_kept_comes_back_and_the_file_is_gone(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        path = await self.keep(storage, tmp_path, "uploads/one")
        assert not path.exists()
        assert await storage.size("uploads/one") == len(DATA)
        pieces = await self.read(storage, "uploads/one")
        assert b"".join(pieces) == DATA
        assert max(map(len, pieces)) <= CHUNK

    async def test_it_is_ready_empty_or_not(self, storage: Storage, tmp_path: Path) -> None:
        await storage.ready()
        await self.keep(storage, tmp_path, "uploads/one")
        await storage.ready()

    async def test_nothing_is_kept_until_something_is(self, storage: Storage) -> None:
        assert await storage.size("uploads/none") is None
        assert await storage.names("uploads") == []
        await storage.remove("uploads/none")
        with pytest.raises(FileNotFoundError):
            await self.read(storage, "uploads/none")
        with pytest.raises(FileNotFoundError):
            async with storage.local("uploads/none"):
                pass

    async def test_a_local_file_has_the_bytes(self, storage: Storage, tmp_path: Path) -> None:
        await self.keep(storage, tmp_path, "uploads/one")
        async with storage.local("uploads/one") as first, storage.local("uploads/one") as second:
            assert first.read_bytes() == second.read_bytes() == DATA
        async with storage.local("uploads/one") as again:
            assert again.stat().st_size == len(DATA)

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (0, 1),
            (0, None),
            (5, 5),
            (7, 3),
            (CHUNK - 1, CHUNK + 1),
            (len(DATA) - 3, None),
            (len(DATA) - 3, len(DATA) + 99),
            (len(DATA), None),
            (len(DATA) + 5, None),
            (len(DATA) + 5, len(DATA) + 9),
        ],
    )
    async def test_ranges(
        self, storage: Storage, tmp_path: Path, start: int, end: int | None
    ) -> None:
        await self.keep(storage, tmp_path, "results/t/annotated.mp4")
        found = await self.read(storage, "results/t/annotated.mp4", start, end)
        assert b"".join(found) == DATA[start:end]

    async def test_an_empty_file_is_one(self, storage: Storage, tmp_path: Path) -> None:
        await self.keep(storage, tmp_path, "uploads/empty", b"")
        assert await storage.size("uploads/empty") == 0
        assert b"".join(await self.read(storage, "uploads/empty")) == b""
        assert await storage.names("uploads") == ["uploads/empty"]

    async def test_keeping_again_replaces(self, storage: Storage, tmp_path: Path) -> None:
        await self.keep(storage, tmp_path, "uploads/one")
        await self.keep(storage, tmp_path, "uploads/one", b"shorter")
        assert b"".join(await self.read(storage, "uploads/one")) == b"shorter"
        assert await storage.names("uploads") == ["uploads/one"]

    async def test_names_and_removal_go_by_whole_parts(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        for name in ("results/t/a", "results/t/b", "results/t2/a", "uploads/t"):
            await self.keep(storage, tmp_path, name, b"x")
        assert await storage.names("results/t") == ["results/t/a", "results/t/b"]
        assert await storage.names("results") == ["results/t/a", "results/t/b", "results/t2/a"]
        await storage.remove("results/t")
        assert await storage.names("results") == ["results/t2/a"]
        await storage.remove("uploads/t")
        assert await storage.names("uploads") == []

    async def test_a_file_that_is_not_there_cannot_be_kept(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        with pytest.raises(OutputError):
            await storage.keep("uploads/one", tmp_path / "absent")
        assert await storage.names("uploads") == []

    async def test_more_than_one_part(self, storage: Storage, tmp_path: Path) -> None:
        large = DATA * 20
        await self.keep(storage, tmp_path, "uploads/large", large)
        assert await storage.size("uploads/large") == len(large)
        assert b"".join(await self.read(storage, "uploads/large")) == large

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_no_name_leads_elsewhere(
        self, storage: Storage, tmp_path: Path, name: str
    ) -> None:
        path = tmp_path / "secret"
        path.write_bytes(b"kept to myself")
        with pytest.raises(SettingError):
            await storage.keep(name, path)
        with pytest.raises(SettingError):
            await self.read(storage, name)
        with pytest.raises(SettingError):
            await storage.remove(name)
        with pytest.raises(SettingError):
            await storage.size(name)
        with pytest.raises(SettingError):
            await storage.names(name)
        assert path.read_bytes() == b"kept to myself"

    async def test_sweeping_harms_nothing_that_is_kept(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        await self.keep(storage, tmp_path, "uploads/one")
        async with storage.local("uploads/one") as path:
            await storage.sweep()
            assert path.read_bytes() == DATA


@pytest.mark.parametrize("wrong", ["", "..", "a/b", "A", "x" * 65, "a\n"])
def test_ids_become_names_only_if_they_are_ours(wrong: str) -> None:
    with pytest.raises(SettingError):
        upload_name(wrong)
    with pytest.raises(SettingError):
        result_name(wrong)
