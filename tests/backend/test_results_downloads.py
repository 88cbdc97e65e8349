"""Files and exports over HTTP, from a folder and from an object store."""

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import psutil
import pytest
from sqlalchemy import update

from contanos.errors import OutputError
from contanos.messages import encode
from tests.backend.clients import ADA, ADMIN, Server, serving
from tests.backend.finished import FRAMES, TASKS, add_task, result_folder
from tests.backend.live import LiveServer
from tests.backend.object_store import bucket_url, object_server
from tests.backend.test_results_frames import write
from tests.unit.result_frames import ABOUT, frame, person
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.results import exports as making
from video_analysis.backend.results.stream import Body, Streamed
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage.contract import result_name
from video_analysis.backend.storage.folder import FolderStorage
from video_analysis.backend.tasks.office import Office
from video_analysis.results.export import DEFAULT_NAMES, FORMATS, export
from video_analysis.results.reader import open_results

__all__ = ["bucket_url", "object_server", "result_folder"]

pytestmark = pytest.mark.anyio

MIB = 1 << 20
FILES = {
    "annotated.mp4": "video/mp4",
    "results.parquet": "application/vnd.apache.parquet",
    "summary.json": "application/json",
    "thumbnail.jpg": "image/jpeg",
}


@pytest.fixture(params=["folder", "object store"])
async def anywhere(
    request: pytest.FixtureRequest, settings: BackendSettings
) -> AsyncIterator[Server]:
    """A server with either storage."""
    if request.param != "folder":
        url = request.getfixturevalue("bucket_url")
        settings = settings.model_copy(update={"storage_url": url})
    async with serving(settings) as server:
        yield server


@pytest.fixture
async def unattended(
    settings: BackendSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    """A server that leaves tasks in the state in which it finds them."""

    async def look(self: Office) -> None:
        pass

    monkeypatch.setattr(Office, "look", look)
    async with serving(settings) as server:
        yield server


async def finished(server: Server, folder: Path | None = None, **fields: Any) -> str:
    state = server.state
    return await add_task(state.database, state.storage, ADMIN.name, folder, **fields)


async def test_files_come_whole_and_in_parts(anywhere: Server, result_folder: Path) -> None:
    task_id, who = await finished(anywhere, result_folder), await anywhere.log_in(ADMIN)
    for name, kind in FILES.items():
        data, url = (result_folder / name).read_bytes(), f"{TASKS}/{task_id}/files/{name}"
        whole = await anywhere.client.get(url, headers=who)
        assert (whole.status_code, whole.content) == (200, data)
        assert whole.headers["Content-Type"] == kind
        assert whole.headers["Accept-Ranges"] == "bytes"
        assert whole.headers["Content-Disposition"] == f'attachment; filename="walk.{name}"'
        head = await anywhere.client.head(url, headers=who | {"Range": "bytes=0-1"})
        assert (head.status_code, head.content) == (200, b"")
        for told in (head.headers, whole.headers):
            del told["X-Request-Id"]  # each has its own
        assert head.headers == whole.headers
        tag = {"If-Range": whole.headers["ETag"]}
        part = await anywhere.client.get(url, headers=who | tag | {"Range": "bytes=7-99"})
        assert (part.status_code, part.content) == (206, data[7:100])
        assert part.headers["Content-Range"] == f"bytes 7-99/{len(data)}"
        assert part.headers["ETag"] == whole.headers["ETag"]
        end = await anywhere.client.get(url, headers=who | {"Range": "bytes=-5"})
        assert (end.status_code, end.content) == (206, data[-5:])
        beyond = await anywhere.client.get(url, headers=who | {"Range": f"bytes={len(data)}-"})
        assert beyond.status_code == 416
        assert beyond.headers["Content-Range"] == f"bytes */{len(data)}"
        known = {"If-None-Match": whole.headers["ETag"]}
        same = await anywhere.client.get(url, headers=who | known)
        assert (same.status_code, same.content) == (304, b"")
        assert "Content-Length" not in same.headers
        dated = {"If-Modified-Since": whole.headers["Last-Modified"]}
        assert (await anywhere.client.get(url, headers=who | dated)).status_code == 304
        other = {"If-Match": '"another"'}
        assert (await anywhere.client.get(url, headers=who | other)).status_code == 412


async def test_exports_are_those_of_the_command(
    anywhere: Server, result_folder: Path, tmp_path: Path
) -> None:
    task_id = await finished(anywhere, result_folder, label="Ärzte.mp4")
    who = await anywhere.log_in(ADMIN)
    for each in FORMATS:
        answer = await anywhere.client.get(f"{TASKS}/{task_id}/export/{each}", headers=who)
        expected = export(open_results(result_folder), each, tmp_path / each).read_bytes()
        assert (answer.status_code, answer.content) == (200, expected)
        assert answer.headers["Content-Length"] == str(len(expected))
        ending = DEFAULT_NAMES[each].removeprefix("results.")
        assert f"''%C3%84rzte.{ending}" in answer.headers["Content-Disposition"]
    assert left(anywhere.state.settings) == []
    prefix = result_name(task_id)
    assert await anywhere.state.storage.names(prefix) == [f"{prefix}/{name}" for name in FILES]


async def test_pages_come_from_anywhere(anywhere: Server, result_folder: Path) -> None:
    task_id, who = await finished(anywhere, result_folder), await anywhere.log_in(ADMIN)
    frames = await anywhere.client.get(f"{TASKS}/{task_id}/frames?start=5&limit=3", headers=who)
    expected = [json.loads(encode(each)) for each in open_results(result_folder)]
    assert frames.json() == {"items": expected[5:8], "next": 8}
    tracks = await anywhere.client.get(f"{TASKS}/{task_id}/tracks", headers=who)
    found = sum(each["detections"] for each in tracks.json()["items"])
    assert found == sum(d["track_id"] is not None for each in expected for d in each["detections"])


def left(settings: BackendSettings) -> list[str]:
    """Exports that are still there."""
    folder = settings.data_dir / "exports"
    found = [each for each in folder.rglob("*") if each.is_file() and each.suffix != ".lock"]
    return [each.name for each in found]


async def test_what_a_result_cannot_fill_is_said_before_anything_is_sent(
    server: Server, tmp_path: Path
) -> None:
    poseless = tmp_path / "poseless" / "results" / "task"
    bare = {field: getattr(ABOUT, field) for field in ABOUT.__struct_fields__} | {"skeleton": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.backend.test_results_frames.ABOUT", type(ABOUT)(**bare))
        write(tmp_path / "poseless", [frame(0)])
    task_id, who = await finished(server, poseless), await server.log_in(ADMIN)
    answer = await server.client.get(f"{TASKS}/{task_id}/export/coco", headers=who)
    assert answer.status_code == 422
    assert "no poses" in answer.json()["detail"]
    assert left(server.state.settings) == []
    unknown = await server.client.get(f"{TASKS}/{task_id}/export/xml", headers=who)
    assert unknown.status_code == 422


async def test_too_many_exports_at_once_are_put_off(
    server: Server, result_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.let_in(ADA)
    ada, root = await server.log_in(ADA), await server.log_in(ADMIN)
    task_id = await finished(server, result_folder)
    database, storage = server.state.database, server.state.storage
    hers = await add_task(database, storage, ADA.name, result_folder)
    state, wanted = server.state, making.Wanted("somebody", task_id, "x", "csv")
    async with state.exports.made(wanted), state.exports.made(wanted):
        with pytest.raises(Exception, match="2 of your exports"):
            async with state.exports.made(wanted):
                pass
        assert len(left(state.settings)) == 2
        asked = [(task_id, root), (hers, ada), (hers, ada)]
        slow = asyncio.Event()

        async def slowly(self: object, wanted: making.Wanted, path: Path) -> None:
            path.write_text(wanted.format)
            await slow.wait()

        monkeypatch.setattr(making.Exports, "_make", slowly)
        going = [
            asyncio.create_task(server.client.get(f"{TASKS}/{each}/export/mot", headers=who))
            for each, who in asked
        ]
        done, _ = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = (each.result() for each in done)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        slow.set()
        told = sorted((await asyncio.gather(*going)), key=lambda each: each.status_code)
        assert [each.status_code for each in told] == [200, 200, 503]
    assert left(state.settings) == []
    again = await server.client.get(f"{TASKS}/{task_id}/export/mot", headers=root)
    assert again.status_code == 200


async def test_an_export_needs_room_on_the_disk(
    server: Server, result_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, who = await finished(server, result_folder), await server.log_in(ADMIN)
    monkeypatch.setattr(making, "_GROWTH", 1 << 60)
    answer = await server.client.get(f"{TASKS}/{task_id}/export/csv", headers=who)
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"state": "uploaded"}, 409, "is uploaded"),
        ({"state": "queued", "reason": "4 of your tasks run"}, 409, "(4 of your tasks run)"),
        ({"state": "running"}, 409, "once it is completed"),
        ({"state": "failed", "cause": "the disk is full"}, 404, "it failed: the disk is full"),
        ({"state": "cancelled"}, 404, "it was cancelled"),
        ({"options": {"video": False}}, 404, "it was made without one"),
    ],
)
async def test_why_there_is_nothing(
    unattended: Server, fields: dict[str, Any], status: int, why: str
) -> None:
    server = unattended
    task_id, who = await finished(server, **fields), await server.log_in(ADMIN)
    seed = await server.client.get(f"/result/{task_id}", headers=who)
    assert (seed.status_code, why in seed.json()["detail"]) == (404, True), seed.text
    for path in ("files/annotated.mp4", "frames", "tracks", "export/csv"):
        answer = await server.client.get(f"{TASKS}/{task_id}/{path}", headers=who)
        assert answer.status_code == status
        if path.startswith("files") or "options" not in fields:
            assert why in answer.json()["detail"]


async def test_the_seeds_call_gives_the_video(server: Server, result_folder: Path) -> None:
    await server.let_in(ADA)
    task_id, who = await finished(server, result_folder), await server.log_in(ADMIN)
    data = (result_folder / "annotated.mp4").read_bytes()
    answer = await server.client.get(f"/result/{task_id}", headers=who)
    assert (answer.status_code, answer.content) == (200, data)
    part = await server.client.get(f"/result/{task_id}", headers=who | {"Range": "bytes=5-"})
    assert (part.status_code, part.content) == (206, data[5:])
    assert (await server.client.get(f"/result/{task_id}")).status_code == 401
    ada = await server.log_in(ADA)
    assert (await server.client.get(f"/result/{task_id}", headers=ada)).status_code == 404
    assert (await server.client.get("/result/none", headers=who)).status_code == 404


async def test_a_deleted_task_gives_nothing(server: Server, result_folder: Path) -> None:
    task_id, who = await finished(server, result_folder), await server.log_in(ADMIN)
    async with server.state.database.transaction() as session:
        await session.execute(update(TaskRow).where(TaskRow.id == task_id).values(deleted=now()))
    for url in (f"{TASKS}/{task_id}/frames", f"/result/{task_id}"):
        assert (await server.client.get(url, headers=who)).status_code == 404


async def test_no_other_name_leads_to_a_file(server: Server, result_folder: Path) -> None:
    task_id, who = await finished(server, result_folder), await server.log_in(ADMIN)
    for name in ("../results.parquet", "%2e%2e%2fx", "x.mp4", "annotated.mp4%00", "."):
        answer = await server.client.get(f"{TASKS}/{task_id}/files/{name}", headers=who)
        assert answer.status_code in (404, 405, 422), name
    for wrong in ("..", "%00", "A", "x" * 65, "a%0a"):
        answer = await server.client.get(f"{TASKS}/{wrong}/frames", headers=who)
        assert answer.status_code in (404, 422), wrong


async def test_openapi_names_what_is_answered(server: Server) -> None:
    paths = (await server.client.get("/openapi.json")).json()["paths"]
    file = paths[TASKS + "/{task_id}/files/{name}"]
    assert set(file) == {"get", "head"}
    assert set(file["get"]["responses"]["206"]["content"]) == set(FILES.values())
    assert {"401", "403", "404", "409", "416"} <= set(file["get"]["responses"])
    assert file["get"]["operationId"] != file["head"]["operationId"]
    exported = paths[TASKS + "/{task_id}/export/{format}"]["get"]["responses"]
    assert {"200", "429", "503"} <= set(exported)
    page = paths[TASKS + "/{task_id}/frames"]["get"]["responses"]["200"]["content"]
    assert set(page["application/json"]["schema"]["properties"]) == {"items", "next"}


# over real sockets


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live") / "data") as server:
        yield server


async def kept_at(live: LiveServer, folder: Path) -> str:
    """A task that is over, put beneath a server that runs."""
    database = Database(f"sqlite:///{live.data_dir / 'contanos.db'}")
    try:
        return await add_task(database, FolderStorage(live.data_dir / "files"), ADMIN.name, folder)
    finally:
        await database.close()


async def test_a_player_seeks_in_the_video(live: LiveServer, result_folder: Path) -> None:
    task_id, who = await kept_at(live, result_folder), live.log_in()
    headers = "".join(f"{name}: {told}\r\n" for name, told in who.items())

    def play(place: str) -> list[tuple[int, str]]:
        options = {"headers": headers} if place.startswith("http") else {}
        with av.open(place, options=options) as video:
            stream = video.streams.video[0]
            found = []
            for moment in (1.0, 0.2, 1.3):
                assert stream.time_base
                video.seek(round(moment / stream.time_base), stream=stream)
                picture = next(video.decode(stream))
                digest = hashlib.sha256(picture.to_ndarray().tobytes()).hexdigest()
                found.append((int(picture.pts or 0), digest))
            video.seek(0, stream=stream)
            found.append((sum(1 for _ in video.decode(stream)), "frames"))
        return found

    expected = play(str(result_folder / "annotated.mp4"))
    assert expected[-1] == (FRAMES, "frames")
    for place in (
        f"{live.url}/result/{task_id}",
        f"{live.api}/tasks/{task_id}/files/annotated.mp4",
    ):
        assert await asyncio.to_thread(play, place) == expected


async def test_memory_does_not_grow_with_a_download(live: LiveServer, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "annotated.mp4").open("wb") as file:
        file.truncate(300 * MIB)
    task_id, who = await kept_at(live, folder), live.log_in()
    url = f"{live.api}/tasks/{task_id}/files/annotated.mp4"
    process = psutil.Process(live.pid)
    before = process.memory_info().rss
    async with httpx.AsyncClient(headers=who, timeout=60) as client:
        total = peak = 0
        async with client.stream("GET", url) as answer:
            async for piece in answer.aiter_bytes(MIB):
                total += len(piece)
                peak = max(peak, process.memory_info().rss)
    assert total == 300 * MIB
    assert peak - before < 40 * MIB


async def test_a_client_that_vanishes_leaves_nothing_open(live: LiveServer, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "annotated.mp4").open("wb") as file:
        file.truncate(100 * MIB)
    task_id, who = await kept_at(live, folder), live.log_in()
    process = psutil.Process(live.pid)
    asked = f"GET /result/{task_id} HTTP/1.1\r\nHost: x\r\n"
    asked += "".join(f"{name}: {told}\r\n" for name, told in who.items()) + "\r\n"
    connections = [socket.create_connection(("127.0.0.1", live.port), timeout=30) for _ in range(5)]
    for each in connections:
        each.sendall(asked.encode())
        assert b"200" in await asyncio.to_thread(each.recv, 4096)

    def open_files() -> list[str]:
        return [each.path for each in process.open_files() if each.path.endswith("annotated.mp4")]

    async with asyncio.timeout(20):
        while len(open_files()) < 5:
            await asyncio.sleep(0.02)
    for each in connections:
        each.close()
    async with asyncio.timeout(20):
        while open_files():
            await asyncio.sleep(0.05)


async def test_an_export_whose_client_vanishes_leaves_nothing(
    live: LiveServer, tmp_path: Path
) -> None:
    """Before it is made, and while it is sent."""
    some = [person(k, 7.0 * k) for k in range(1, 9)]
    path = write(tmp_path / "long", [frame(i, some) for i in range(8_000)])
    task_id, who = await kept_at(live, path.parent), live.log_in()
    exports = live.data_dir / "exports"
    url = f"{live.api}/tasks/{task_id}/export/jsonl"

    def there() -> list[Path]:
        return [each for each in exports.rglob("*") if each.is_file() and each.suffix != ".lock"]

    async def until_nothing_is() -> None:
        async with asyncio.timeout(20):
            while there():
                await asyncio.sleep(0.02)

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url, headers=who, timeout=0.2)
    await until_nothing_is()
    with httpx.stream("GET", url, headers=who, timeout=60) as answer:
        assert answer.status_code == 200
        assert len(there()) == 1
        next(answer.iter_bytes(1000))
    await until_nothing_is()
    whole = httpx.get(url, headers=who, timeout=60).content.splitlines()
    assert len(whole) == 8_000
    assert json.loads(whole[-1])["frame_id"] == 7_999


async def test_an_export_is_given_up_when_nobody_waits_for_it(
    server: Server, result_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, began = await finished(server, result_folder), threading.Event()

    def endless(results: object, to: str, path: Path, given_up: Callable[[], bool]) -> None:
        began.set()
        while not given_up():
            time.sleep(0.01)
        raise OutputError("given up")

    async def receive() -> dict[str, str]:
        await asyncio.to_thread(began.wait)
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError(message)

    monkeypatch.setattr(making, "export", endless)
    exports = server.state.exports
    wanted = making.Wanted("somebody", task_id, "x", "csv")
    async with asyncio.timeout(20):
        for _ in range(making.OF_ONE_USER + 1):  # each gives its turn back
            began.clear()
            answer = Streamed(exports.made(wanted))
            await answer({"type": "http", "method": "GET"}, receive, send)  # type: ignore[arg-type]
    assert left(server.state.settings) == []


def test_an_export_that_is_given_up_leaves_no_file(result_folder: Path, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(OutputError, match="given up"):
        export(open_results(result_folder), "jsonl", tmp_path / "out", lambda: next(asked))
    assert [*tmp_path.iterdir()] == []


async def test_a_client_that_takes_nothing_is_let_go() -> None:
    closed = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"second"

    @asynccontextmanager
    async def body() -> AsyncIterator[Body]:
        yield Body({"Content-Length": "11"}, pieces())
        closed.append(True)

    sent = []

    async def send(message: Any) -> None:
        if message.get("body") == b"second":
            await asyncio.Event().wait()
        sent.append(message.get("body"))

    async def receive() -> Any:
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        await Streamed(body(), patience=0.1)({"type": "http", "method": "GET"}, receive, send)
    assert sent == [None, b"first"]
    assert closed == [True]
