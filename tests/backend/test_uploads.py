"""Uploads by form and tus: what comes in is what was sent, and whose it is stays so."""

import asyncio
import gzip
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from contanos.testing.videos import make_audio, make_video, patch_avi, truncate
from tests.backend.clients import ADA, ADMIN, BOB, Server, serving
from tests.backend.videos import (
    BYTES,
    TUS,
    UPLOADS,
    VERSION,
    begin,
    checked,
    named,
    offset,
    send,
    send_form,
    video,
)
from video_analysis.backend.database.tables import TaskRow, Upload
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.uploads.place import video_of

pytestmark = pytest.mark.anyio


def files_of(settings: BackendSettings) -> list[str]:
    """Everything that is there of uploads."""
    folders = (settings.data_dir / "incoming", settings.data_dir / "files")
    return sorted(each.name for folder in folders for each in folder.rglob("*") if each.is_file())


async def stored(server: Server, upload_id: str) -> bytes:
    async with server.state.database.reading() as session:
        upload = await session.get(Upload, upload_id)
    assert upload
    async with video_of(server.state, upload) as path:
        return path.read_bytes()


async def test_a_form_becomes_an_upload(
    server: Server, settings: BackendSettings, tmp_path: Path
) -> None:
    await server.let_in(ADA)
    ada, data = await server.log_in(ADA), video(tmp_path)
    answer = await send_form(server.client, ada, data, "Ada's walk.mp4")
    assert answer.status_code == 201, answer.text
    assert answer.json()["label"] == "Ada's walk.mp4"
    found = await checked(server.client, ada, answer.json()["id"])
    expected = {"state": "ready", "width": 64, "height": 48, "frames": 10, "seconds": 0.4}
    assert expected.items() <= found.items()
    assert found["bytes"] == found["received"] == len(data)
    assert await stored(server, found["id"]) == data
    assert files_of(settings) == [found["id"]]


async def test_a_resumable_upload_comes_in_parts(
    server: Server, settings: BackendSettings, tmp_path: Path
) -> None:
    who, data = await server.log_in(ADMIN), video(tmp_path, 40)
    place = await begin(server.client, who, len(data), headers=named("päth/to/walk.mp4"))
    assert await offset(server.client, who, place) == 0
    for start, end in [(0, 10), (10, 11), (11, len(data))]:
        answer = await send(server.client, who, place, start, data[start:end])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(end))
        assert ("Upload-Expires" in answer.headers) == (end < len(data))
    found = await checked(server.client, who, place.rpartition("/")[2])
    assert (found["state"], found["label"]) == ("ready", "walk.mp4")
    assert await stored(server, found["id"]) == data
    assert await offset(server.client, who, place) == len(data)
    assert files_of(settings) == [found["id"]]


async def test_the_first_bytes_may_come_along(server: Server, tmp_path: Path) -> None:
    who, data = await server.log_in(ADMIN), video(tmp_path)
    place = await begin(server.client, who, len(data), headers=BYTES, content=data[:100])
    assert await offset(server.client, who, place) == 100
    assert (await send(server.client, who, place, 100, data[100:])).status_code == 204
    assert (await checked(server.client, who, place[-24:]))["state"] == "ready"


async def test_what_is_offered(server: Server) -> None:
    answer = await server.client.options(TUS)
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(server.state.settings.upload_bytes)
    assert "creation-with-upload" in answer.headers["Tus-Extension"]


async def test_the_protocol_is_kept(server: Server) -> None:
    who = await server.log_in(ADMIN)
    place = await begin(server.client, who, 100)
    wrong = await server.client.patch(place, headers=who | BYTES | {"Upload-Offset": "0"})
    assert (wrong.status_code, wrong.headers["Tus-Version"]) == (412, "1.0.0")
    wrong = await server.client.patch(place, headers=who | VERSION | {"Upload-Offset": "0"})
    assert wrong.status_code == 415
    assert (await send(server.client, who, place, 5, b"x")).status_code == 409
    assert (await server.client.post(TUS, headers=who | VERSION)).status_code == 422
    length = {"Upload-Length": "-1"}
    assert (await server.client.post(TUS, headers=who | VERSION | length)).status_code == 422
    metadata = {"Upload-Length": "1", "Upload-Metadata": "filename %%%"}
    assert (await server.client.post(TUS, headers=who | VERSION | metadata)).status_code == 422
    assert await offset(server.client, who, place) == 0


async def test_another_method_may_travel_as_post(server: Server, tmp_path: Path) -> None:
    who, data = await server.log_in(ADMIN) | VERSION, video(tmp_path)
    place = await begin(server.client, who, len(data))
    patch = who | BYTES | {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0"}
    answer = await server.client.post(place, headers=patch, content=data[:9])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "9")
    end = who | {"X-HTTP-Method-Override": "DELETE"}
    assert (await server.client.post(place, headers=end)).status_code == 204
    assert (await server.client.head(place, headers=who)).status_code == 404


async def test_no_more_is_taken_than_was_promised(server: Server, tmp_path: Path) -> None:
    who, data = await server.log_in(ADMIN), video(tmp_path)
    place = await begin(server.client, who, len(data))
    answer = await send(server.client, who, place, 0, data + b"more")
    assert answer.headers["Upload-Offset"] == str(len(data))
    found = await checked(server.client, who, place[-24:])
    assert await stored(server, found["id"]) == data
    assert (await send(server.client, who, place, len(data), b"more")).status_code == 410


async def test_two_requests_at_once(server: Server) -> None:
    who = await server.log_in(ADMIN)
    place = await begin(server.client, who, 100)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 10
        held.set()
        await go_on.wait()
        yield b"x" * 10

    first = asyncio.create_task(send(server.client, who, place, 0, slowly()))
    await held.wait()
    second = await send(server.client, who, place, 0, b"y" * 5)
    assert second.status_code == 423
    go_on.set()
    assert (await first).headers["Upload-Offset"] == "20"
    assert await offset(server.client, who, place) == 20


async def test_giving_up_in_the_middle_leaves_nothing(
    server: Server, settings: BackendSettings
) -> None:
    who = await server.log_in(ADMIN)
    place = await begin(server.client, who, 100)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 10
        held.set()
        await go_on.wait()
        yield b"x" * 10

    first = asyncio.create_task(send(server.client, who, place, 0, slowly()))
    await held.wait()
    assert (await server.client.delete(place, headers=who | VERSION)).status_code == 204
    go_on.set()
    assert (await first).status_code == 410
    assert (await server.client.head(place, headers=who | VERSION)).status_code == 404
    assert files_of(settings) == []


async def test_silence_ends_a_request_and_what_came_stays(
    settings: BackendSettings,
) -> None:
    impatient = settings.model_copy(update={"upload_idle_seconds": 0.2})
    async with serving(impatient) as server:
        who = await server.log_in(ADMIN)
        place = await begin(server.client, who, 100)

        async def slowly() -> AsyncIterator[bytes]:
            yield b"x" * 10
            await asyncio.sleep(20)

        async with asyncio.timeout(5):
            answer = await send(server.client, who, place, 0, slowly())
        assert answer.status_code == 408
        assert await offset(server.client, who, place) == 10


def _zipped(path: Path) -> Path:
    """A mebibyte that becomes a gibibyte."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("walk.mp4", bytes(1 << 30))
    path.write_bytes(data.getvalue())
    return path


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text": (lambda path: _write(path, b"no video\n" * 99), "no known video format"),
    "nothing": (lambda path: _write(path, b""), "is empty"),
    "zip bomb": (_zipped, "no known video format"),
    "gzip": (lambda path: _write(path, gzip.compress(bytes(1 << 20))), "no known video format"),
    "audio": (lambda path: make_audio(path), "only audio"),
    "huge pictures": (
        lambda path: patch_avi(
            make_video(path.with_name("plain.avi"), codec="ffv1"), path, size=(100_000, 100_000)
        ),
        "the size of its pictures",
    ),
    "too large pictures": (
        lambda path: patch_avi(
            make_video(path.with_name("plain.avi"), codec="ffv1"), path, size=(15_000, 15_000)
        ),
        "15000 x 15000",
    ),
    "endless": (
        lambda path: patch_avi(
            make_video(path.with_name("plain.avi"), codec="mpeg4"), path, frames=10_000_000
        ),
        "10000000 frames",
    ),
    "cut": (
        lambda path: truncate(make_video(path.with_name("whole.mp4"), 60), path, 0.6),
        "index is missing",
    ),
    "playlist": (
        lambda path: _write(path, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "playlist",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_video_is_refused_whatever_it_is_called(
    server: Server, settings: BackendSettings, tmp_path: Path, case: str
) -> None:
    make, cause = REFUSED[case]
    who, data = await server.log_in(ADMIN), make(tmp_path / "upload.mp4").read_bytes()
    answer = await send_form(server.client, who, data, "holiday.mp4")
    assert answer.status_code == 201, answer.text
    found = await checked(server.client, who, answer.json()["id"])
    assert found["state"] == "refused"
    assert cause in found["cause"]
    assert str(settings.data_dir) not in found["cause"]
    assert await used_by(server, found["user_id"]) == 0
    await asyncio.sleep(0.05)
    assert files_of(settings) == []


async def used_by(server: Server, user_id: str) -> int:
    from video_analysis.backend.uploads.room import stored_bytes

    async with server.state.database.reading() as session:
        return await stored_bytes(session, user_id)


HOSTILE_NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "a\x00b.mp4": "ab.mp4",
    "walk\r\nX-Evil: 1\r\n\r\n.mp4": "walkX-Evil: 1.mp4",
    "\u202egpj.4pm": "gpj.4pm",
    "e\u0301te\u0301.mp4": "été.mp4",
    "x" * 10_000: "x" * 255,
    "..": "..",
    "": "video",
    "\x01\x02": "video",
    "👩‍💻.mp4": "👩‍💻.mp4",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
async def test_names_are_labels(
    server: Server, settings: BackendSettings, tmp_path: Path, name: str
) -> None:
    who = await server.log_in(ADMIN)
    place = await begin(server.client, who, 10, headers=named(name))
    found = (await server.client.get(f"{UPLOADS}/{place[-24:]}", headers=who)).json()
    assert found["label"] == HOSTILE_NAMES[name]
    assert len(found["label"]) <= 255
    await send(server.client, who, place, 0, b"12345")
    assert files_of(settings) == sorted([place[-24:], f"{place[-24:]}.lock"])
    above = settings.data_dir.parent
    assert {each.name for each in above.iterdir()} <= {"data", "made-10.mp4"}


async def test_a_hostile_name_in_a_form(server: Server, tmp_path: Path) -> None:
    who = await server.log_in(ADMIN)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; '
        b'filename="../../../a\x00\xff.mp4"\r\n\r\n' + video(tmp_path) + b"\r\n--b--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await server.client.post(UPLOADS, headers=who | kind, content=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["label"] == "a\ufffd.mp4"


BAD_FORMS: dict[str, tuple[str, bytes]] = {
    "no form": ("application/json", b"{}"),
    "no boundary": ("multipart/form-data", b"--b"),
    "other field": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\nz\r\n--b--\r\n',
    ),
    "no name": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nz\r\n--b--\r\n',
    ),
    "two files": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="y"\r\n\r\nz\r\n' * 2
        + b"--b--\r\n",
    ),
    "cut": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="y"\r\n\r\nzzzz',
    ),
    "no headers' end": ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: " + b"y" * 99_999),
    "much beside": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"z" * 99_999 + b"\r\n--b--",
    ),
    "garbage": ("multipart/form-data; boundary=b", b"\x00" * 1000),
    "empty": ("multipart/form-data; boundary=b", b""),
}


@pytest.mark.parametrize("case", BAD_FORMS)
async def test_bad_forms_are_refused(server: Server, settings: BackendSettings, case: str) -> None:
    who = await server.log_in(ADMIN)
    kind, body = BAD_FORMS[case]
    headers = who | {"Content-Type": kind}
    answer = await server.client.post(UPLOADS, headers=headers, content=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await server.client.get(UPLOADS, headers=who)).json()["items"] == []
    assert files_of(settings) == []


async def test_another_users_upload_is_not_there(server: Server, tmp_path: Path) -> None:
    ada_id = await server.let_in(ADA)
    await server.let_in(BOB)
    eve = ADA._replace(name="eve")
    await server.let_in(eve, role="viewer", views=ada_id)
    ada, bob = await server.log_in(ADA), await server.log_in(BOB)
    viewer, admin = await server.log_in(eve), await server.log_in(ADMIN)
    place = await begin(server.client, ada, 100)
    shown = f"{UPLOADS}/{place[-24:]}"
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("GET", shown, {}),
        ("DELETE", shown, {}),
        ("HEAD", place, VERSION),
        ("PATCH", place, VERSION | BYTES | {"Upload-Offset": "0"}),
        ("DELETE", place, VERSION),
    ]
    for method, url, headers in requests:
        answer = await server.client.request(method, url, headers=bob | headers)
        assert answer.status_code == 404, (method, url)
        answer = await server.client.request(method, url, headers=viewer | headers)
        assert answer.status_code == (200 if method in ("GET", "HEAD") else 403), (method, url)
    assert (await server.client.get(UPLOADS, headers=bob)).json()["items"] == []
    of_ada = await server.client.get(UPLOADS, params={"user": ada_id}, headers=bob)
    assert of_ada.status_code == 403
    for who, params in [(ada, {}), (viewer, {}), (admin, {"user": ada_id})]:
        listed = await server.client.get(UPLOADS, params=params, headers=who)
        assert [each["id"] for each in listed.json()["items"]] == [place[-24:]]
    assert (await server.client.delete(shown, headers=admin)).status_code == 204


async def test_pages(server: Server) -> None:
    who = await server.log_in(ADMIN)
    made = [(await begin(server.client, who, 100))[-24:] for _ in range(5)]
    listed: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while params.get("after", "") is not None:
        found = (await server.client.get(UPLOADS, params=params, headers=who)).json()
        listed += [each["id"] for each in found["items"]]
        params["after"] = found["next"]
    assert listed == made[::-1]
    for wrong in ("x", "2026-01-01~x", "~"):
        answer = await server.client.get(UPLOADS, params={"after": wrong}, headers=who)
        assert answer.status_code == 422


async def test_an_upload_with_a_task_that_is_not_over_stays(
    server: Server, settings: BackendSettings, tmp_path: Path
) -> None:
    who = await server.log_in(ADMIN)
    made = (await send_form(server.client, who, video(tmp_path))).json()
    found = await checked(server.client, who, made["id"])
    async with server.state.database.transaction() as session:
        task = TaskRow(
            user_id=found["user_id"], upload_id=found["id"], label="", state="running", options={}
        )
        session.add(task)
    shown = f"{UPLOADS}/{found['id']}"
    assert (await server.client.delete(shown, headers=who)).status_code == 409
    assert await stored(server, found["id"])
    async with server.state.database.transaction() as session:
        over = await session.get(TaskRow, task.id)
        assert over
        over.state = "completed"
    assert (await server.client.delete(shown, headers=who)).status_code == 204
    assert files_of(settings) == []
    async with server.state.database.reading() as session:
        assert (await session.scalars(select(TaskRow.upload_id))).all() == [None]
