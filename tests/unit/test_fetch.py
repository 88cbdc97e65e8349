"""Fetching over real HTTP from a server of our own, on this machine."""

import hashlib
import io
import multiprocessing
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contanos.errors import ModelCorrupt, ModelUnavailable, OutputError
from contanos.models.fetch import fetch, find
from contanos.models.manifest import Asset, Source

BODY = bytes(range(256)) * 4096


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks the connection after `cut` bytes of the first answer."""

    files: dict[str, bytes]
    cut: int | None = None
    requests: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        self.server.requests.append(span)
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end, self.server.cut = self.server.cut, None
        self.wfile.write(body[start:] if end is None else body[start:end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files, server.requests = {"/model": BODY}, []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTANOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CONTANOS_MODEL_DIR", raising=False)
    return tmp_path / "cache"


def asset(*sources: Source, body: bytes = BODY) -> Asset:
    digest = hashlib.sha256(body).hexdigest()
    return Asset(
        name="toy",
        file="toy.onnx",
        bytes=len(body),
        sha256=digest,
        licence="Apache-2.0",
        sources=sources,
    )


def test_a_file_is_fetched_once(server: Server) -> None:
    toy = asset(Source(url=f"{server.url}/model"))
    assert find(toy) is None
    path = fetch(toy)
    assert path.read_bytes() == BODY
    assert fetch(toy) == find(toy) == path
    assert len(server.requests) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: Server) -> None:
    toy = asset(Source(url=f"{server.url}/model"))
    server.cut = 300_000
    with pytest.raises(ModelUnavailable, match="toy"):
        fetch(toy)
    assert fetch(toy).read_bytes() == BODY
    assert server.requests[0] is None
    assert server.requests[1] is not None
    assert 0 < int(server.requests[1].removeprefix("bytes=").rstrip("-")) <= 300_000


def test_the_next_source_serves_where_one_fails(server: Server) -> None:
    gone, there = Source(url=f"{server.url}/gone"), Source(url=f"{server.url}/model")
    assert fetch(asset(gone, there)).read_bytes() == BODY


def test_every_sources_answer_is_reported(server: Server) -> None:
    with pytest.raises(ModelUnavailable, match=r"(?s)404.*CONTANOS_MODEL_DIR"):
        fetch(asset(Source(url=f"{server.url}/gone")))


def test_other_bytes_are_never_handed_out(server: Server, cache: Path) -> None:
    server.files["/model"] = BODY[:-1] + b"!"
    with pytest.raises(ModelCorrupt, match="other bytes"):
        fetch(asset(Source(url=f"{server.url}/model")))
    assert [each.suffix for each in cache.iterdir()] == [".lock"]


def test_a_source_that_sends_too_much_is_cut_off(server: Server, cache: Path) -> None:
    server.files["/model"] = BODY * 4
    with pytest.raises(ModelUnavailable, match="more than"):
        fetch(asset(Source(url=f"{server.url}/model")))
    assert not list(cache.glob("*.part"))


def test_a_member_of_a_zip(server: Server, cache: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as held:
        held.writestr("2023/onnx/end2end.onnx", BODY)
    server.files["/sdk.zip"] = archive.getvalue()
    toy = asset(Source(url=f"{server.url}/sdk.zip", member="end2end.onnx"))
    assert fetch(toy).read_bytes() == BODY
    assert not list(cache.glob("*.zip"))


def test_a_zip_without_the_member_is_no_source(server: Server) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as held:
        held.writestr("readme.txt", "no model here")
    server.files["/sdk.zip"] = archive.getvalue()
    with pytest.raises(ModelUnavailable, match=r"end2end\.onnx"):
        fetch(asset(Source(url=f"{server.url}/sdk.zip", member="end2end.onnx")))


def test_a_corrupt_file_in_the_cache_is_replaced(server: Server, cache: Path) -> None:
    toy = asset(Source(url=f"{server.url}/model"))
    fetch(toy).write_bytes(b"bit rot")
    assert find(toy) is None
    assert fetch(toy).read_bytes() == BODY


def test_a_corrupt_file_in_the_model_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("CONTANOS_MODEL_DIR", str(tmp_path))
    (tmp_path / "toy.onnx").write_bytes(b"somebody else's model")
    with pytest.raises(ModelCorrupt, match="sha256"):
        fetch(asset(Source(url=f"{server.url}/model")))
    assert not server.requests


def test_the_model_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("CONTANOS_MODEL_DIR", str(tmp_path))
    (tmp_path / "toy.onnx").write_bytes(BODY)
    assert fetch(asset(Source(url=f"{server.url}/model"))) == tmp_path / "toy.onnx"
    assert not server.requests


def test_a_cache_that_cannot_be_made_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CONTANOS_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match="CONTANOS_CACHE_DIR"):
        fetch(asset(Source(url=f"{server.url}/model")))


def test_two_processes_at_once_fetch_once(server: Server) -> None:
    toy = asset(Source(url=f"{server.url}/model"))
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(3) as pool:
        paths = pool.map(fetch, [toy] * 3)
    assert {path.read_bytes() for path in paths} == {BODY}
    assert len(server.requests) == 1
