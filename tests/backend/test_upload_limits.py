"""How much may come: of one upload, of one user, onto the disk."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.backend.clients import ADA, ADMIN, Server, serving
from tests.backend.test_uploads import files_of, used_by
from tests.backend.videos import (
    TUS,
    UPLOADS,
    VERSION,
    begin,
    checked,
    offset,
    send,
    send_form,
    video,
)
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio

MIB = 1 << 20
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="y"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture
def settings(settings: BackendSettings) -> BackendSettings:
    """Four mebibytes an upload, ten in all."""
    return settings.model_copy(update={"upload_bytes": 4 * MIB, "quota_bytes": 10 * MIB})


async def endless(head: bytes = b"") -> AsyncIterator[bytes]:
    yield head
    while True:
        yield b"x" * 65_536


async def test_a_length_beyond_the_limit_is_refused_before_a_byte_comes(server: Server) -> None:
    who = await server.log_in(ADMIN)
    for length in (4 * MIB + 1, 10 << 30):
        headers = who | VERSION | {"Upload-Length": str(length)}
        answer = await server.client.post(TUS, headers=headers)
        assert answer.status_code == 413
        assert "one upload may have" in answer.json()["detail"]
    declared = who | FORM | {"Content-Length": str(10 << 30)}
    answer = await server.client.post(UPLOADS, headers=declared, content=endless(HEAD))
    assert answer.status_code == 413
    assert (await server.client.get(UPLOADS, headers=who)).json()["items"] == []


async def test_a_body_without_a_length_is_cut_at_the_limit(
    server: Server, settings: BackendSettings
) -> None:
    who = await server.log_in(ADMIN)
    answer = await server.client.post(UPLOADS, headers=who | FORM, content=endless(HEAD))
    assert answer.status_code == 413
    assert (await server.client.get(UPLOADS, headers=who)).json()["items"] == []
    assert files_of(settings) == []
    place = await begin(server.client, who, MIB)
    answer = await send(server.client, who, place, 0, endless())
    assert answer.headers["Upload-Offset"] == str(MIB)


async def test_what_is_promised_counts_and_only_one_takes_the_last_room(server: Server) -> None:
    await server.let_in(ADA)
    ada, root = await server.log_in(ADA), await server.log_in(ADMIN)
    for _ in range(2):
        await begin(server.client, ada, 3 * MIB)
    headers = ada | VERSION | {"Upload-Length": str(3 * MIB)}
    answers = await asyncio.gather(
        *(server.client.post(TUS, headers=headers) for _ in range(6)),
        begin(server.client, root, 3 * MIB),  # another user's room is not touched
    )
    statuses = sorted(each.status_code for each in answers[:6] if not isinstance(each, str))
    assert statuses == [201] + [413] * 5
    last = await server.client.post(TUS, headers=headers)
    assert str(MIB) in last.json()["detail"]


async def test_bodies_without_a_length_do_not_all_get_the_last_room(server: Server) -> None:
    who = await server.log_in(ADMIN)
    await begin(server.client, who, 4 * MIB)
    go_on = asyncio.Event()

    async def three() -> AsyncIterator[bytes]:
        yield HEAD
        for _ in range(3 * 16):
            yield b"x" * 65_536
        await go_on.wait()
        yield b"\r\n--b--\r\n"

    sent = [
        asyncio.create_task(server.client.post(UPLOADS, headers=who | FORM, content=three()))
        for _ in range(3)
    ]
    over, _ = await asyncio.wait(sent, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert [each.result().status_code for each in over] == [413] * len(over)
    assert over
    go_on.set()
    statuses = [(await each).status_code for each in sent]
    assert 201 in statuses


async def test_results_count_and_what_is_removed_does_not(server: Server, tmp_path: Path) -> None:
    ada_id = await server.let_in(ADA)
    ada = await server.log_in(ADA)
    async with server.state.database.transaction() as session:
        task = TaskRow(user_id=ada_id, label="", state="completed", options={}, bytes=9 * MIB)
        session.add(task)
    headers = ada | VERSION | {"Upload-Length": str(2 * MIB)}
    assert (await server.client.post(TUS, headers=headers)).status_code == 413
    made = await send_form(server.client, ada, video(tmp_path))
    found = await checked(server.client, ada, made.json()["id"])
    assert await used_by(server, ada_id) == 9 * MIB + found["bytes"]
    deleted = await server.client.delete(f"{UPLOADS}/{found['id']}", headers=ada)
    assert deleted.status_code == 204
    assert await used_by(server, ada_id) == 9 * MIB
    admin = await server.log_in(ADMIN)
    more = {"quota_bytes": 11 * MIB}
    await server.client.patch(f"/api/v1/users/{ada_id}", json=more, headers=admin)
    assert (await server.client.post(TUS, headers=headers)).status_code == 201


@pytest.fixture
def small_disk(settings: BackendSettings) -> Iterator[Path]:
    """Two mebibytes for what is incoming."""
    place = settings.data_dir / "incoming"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED ON A FULL DISK: mounting one needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_takes_what_it_can_and_says_so(small_disk: Path, server: Server) -> None:
    who = await server.log_in(ADMIN)
    headers = who | VERSION | {"Upload-Length": str(3 * MIB)}
    answer = await server.client.post(TUS, headers=headers)
    assert answer.status_code == 507
    assert "disk" in answer.json()["detail"]
    first = await begin(server.client, who, MIB + MIB // 2)
    second = await begin(server.client, who, MIB + MIB // 2)
    assert (await send(server.client, who, first, 0, b"x" * (MIB + MIB // 2 - 1))).is_success
    data = bytes(range(256)) * (MIB // 256) + b"y" * (MIB // 2)
    full = await send(server.client, who, second, 0, data)
    assert full.status_code == 507
    assert str(small_disk) not in full.text
    here = await offset(server.client, who, second)
    assert 0 < here < MIB
    path = small_disk / second[-24:]
    assert path.read_bytes() == data[:here]
    await server.client.delete(first, headers=who | VERSION)
    rest = await send(server.client, who, second, here, data[here:-1])
    assert rest.headers["Upload-Offset"] == str(len(data) - 1)
    assert path.read_bytes() == data[:-1]


async def test_a_form_on_a_full_disk_leaves_nothing(small_disk: Path, server: Server) -> None:
    who = await server.log_in(ADMIN)

    async def body() -> AsyncIterator[bytes]:
        yield HEAD
        for _ in range(48):
            yield b"x" * 65_536

    answer = await server.client.post(UPLOADS, headers=who | FORM, content=body())
    assert answer.status_code == 507
    assert (await server.client.get(UPLOADS, headers=who)).json()["items"] == []
    assert [*small_disk.iterdir()] == []


async def test_what_takes_too_long_to_look_at_is_refused(
    settings: BackendSettings, tmp_path: Path
) -> None:
    hasty = settings.model_copy(update={"check_seconds": 0.01})
    async with serving(hasty) as server:
        who = await server.log_in(ADMIN)
        made = await send_form(server.client, who, video(tmp_path))
        found = await checked(server.client, who, made.json()["id"])
    assert (found["state"], found["width"]) == ("refused", None)
    assert "more than 0.01 s" in found["cause"]
