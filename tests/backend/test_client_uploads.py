"""The client's uploads, to a real server that dies, over connections that break."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from contanos.client import Client
from contanos.errors import (
    InputError,
    NotFound,
    Refused,
    SettingError,
    TryLater,
    Unauthorised,
    Unreachable,
)
from contanos.testing.kafka.ports import free_ports
from contanos.testing.videos import make_video
from tests.backend.clients import ADA, ADMIN
from tests.backend.cuts import Way
from tests.backend.live import LiveServer
from tests.backend.sources import video_site

MIB = 1 << 20


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Each test has what others left in it."""
    folder = tmp_path_factory.mktemp("client-uploads")
    with LiveServer(folder / "data", upload_idle_seconds=2) as server:
        yield server


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A video with 40 MiB behind it, which players do not mind."""
    path = make_video(tmp_path / "Ada's wälk.mp4")
    with path.open("ab") as file:
        file.write(os.urandom(40 * MIB))
    return path


def stored(server: LiveServer, upload_id: str) -> bytes:
    return (server.data_dir / "files" / "uploads" / upload_id).read_bytes()


def known(server: LiveServer, key: str) -> list[str]:
    """The ids of all uploads that are there."""
    answer = httpx.get(f"{server.api}/uploads?limit=200", headers={"X-API-Key": key})
    return [each["id"] for each in answer.json()["items"]]


def test_it_goes_on_where_it_was_when_the_server_was_killed(live: LiveServer, large: Path) -> None:
    told: list[tuple[int, int]] = []
    began_anew = threading.Event()

    def kill_once(here: int, total: int) -> None:
        told.append((here, total))
        if here >= 20 * MIB and not began_anew.is_set():
            began_anew.set()
            live.kill()
            threading.Timer(1.0, live.start).start()  # it is away for a while

    with Way(live.port) as way, Client(way.url, live.make_key()) as client:
        upload = client.checked(client.upload(large, progress=kill_once))
        asked = [each.split()[0] for each in way.asked]
    assert began_anew.is_set()
    assert (upload.state, upload.label) == ("ready", large.name)
    assert stored(live, upload.id) == large.read_bytes()
    assert told[-1] == (large.stat().st_size,) * 2
    assert asked.count(b"HEAD") >= 1
    killed = next(i for i, (here, _) in enumerate(told) if here >= 20 * MIB)
    lowest = min(here for here, _ in told[killed:])
    assert lowest >= 16 * MIB  # the first piece was safe, and was not sent again


@pytest.mark.parametrize(("direction", "after"), [("up", 5 * MIB), ("down", 0)])
def test_a_broken_connection_is_gone_on_with(
    live: LiveServer, large: Path, direction: str, after: int
) -> None:
    """In the midst of bytes; and after them, before the server could say that it has them."""
    with Way(live.port) as way, Client(way.url, live.make_key()) as client:
        way.cut(b"PATCH /", after, direction)  # type: ignore[arg-type]
        upload = client.checked(client.upload(large))
        assert way.broken == 1
    assert stored(live, upload.id) == large.read_bytes()


def test_memory_does_not_grow_with_the_file(live: LiveServer, tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mp4")
    with path.open("ab") as file:
        file.truncate(600 * MIB)
    process = psutil.Process()
    with Client(live.url, live.make_key()) as client:
        before, most = process.memory_info().rss, 0

        def look(here: int, total: int) -> None:
            nonlocal most
            most = max(most, process.memory_info().rss)

        client.upload(path, progress=look)
    assert most - before < 60 * MIB


def test_what_is_no_video_is_refused_with_the_reason(live: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video at all")
    with Client(live.url, live.make_key()) as client:
        upload = client.upload(tmp_path / "notes.mp4")
        with pytest.raises(Refused, match=r"notes\.mp4: .+"):
            client.checked(upload)


def test_a_file_that_cannot_be_sent_is_not_begun(live: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    key = live.make_key()
    before = known(live, key)
    with Client(live.url, key) as client:
        for name in ("empty.mp4", "missing.mp4", "."):
            with pytest.raises(InputError):
                client.upload(tmp_path / name)
    assert known(live, key) == before


def test_a_file_that_becomes_shorter_leaves_nothing(live: LiveServer, large: Path) -> None:
    def shorten(here: int, total: int) -> None:
        if here == 8 * MIB:
            os.truncate(large, 10 * MIB)

    key = live.make_key()
    before = known(live, key)
    with Client(live.url, key) as client, pytest.raises(InputError, match="shorter"):
        client.upload(large, progress=shorten)
    assert known(live, key) == before


def test_ctrl_c_leaves_nothing(live: LiveServer, large: Path) -> None:
    def interrupt(here: int, total: int) -> None:
        if here >= 20 * MIB:
            raise KeyboardInterrupt

    key = live.make_key()
    before = known(live, key)
    with Client(live.url, key) as client, pytest.raises(KeyboardInterrupt):
        client.upload(large, progress=interrupt)
    assert known(live, key) == before


def test_more_than_the_quota_is_refused_before_it_is_sent(live: LiveServer, large: Path) -> None:
    account = ADA._asdict() | {"quota_bytes": MIB}
    made = httpx.post(f"{live.api}/users", json=account, headers=live.log_in())
    assert made.status_code == 201
    with Client(live.url, live.make_key(ADA)) as client, pytest.raises(Refused) as raised:
        client.upload(large, progress=lambda here, _: pytest.fail("it was sent"))
    assert raised.value.status == 413


def test_a_wrong_key_and_unknown_things_are_told_apart(live: LiveServer) -> None:
    with Client(live.url, "ctn_wrong") as client, pytest.raises(Unauthorised, match="key"):
        client.task("abc")
    with Client(live.url, live.make_key()) as client:
        with pytest.raises(NotFound, match="no task abc is yours"):
            client.task("abc")
        with pytest.raises(NotFound, match="no upload abc is yours"):
            client.submit("abc")
    reader = Client(live.url, live.make_key(ADMIN, "read"))
    with reader, pytest.raises(Refused, match="scope 'write'"):
        reader.submit("abc")


def test_a_server_that_is_away_is_told_soon_and_a_known_one_is_waited_for(
    live: LiveServer,
) -> None:
    (port,) = free_ports(1)
    stranger = Client(f"http://127.0.0.1:{port}", "ctn_x")
    with stranger, pytest.raises(Unreachable, match="refused"):
        stranger.task("abc")
    with Client(live.url, live.make_key()) as client:
        assert list(client.tasks()) == []
        live.kill()
        restart = threading.Timer(4.0, live.start)  # longer than a stranger is waited for
        restart.start()
        assert list(client.tasks()) == []
        restart.join()


def list_tasks(client: Client, times: int) -> None:
    for _ in range(times):
        list(client.tasks())


def test_too_many_requests_are_made_when_the_server_says(tmp_path: Path) -> None:
    with LiveServer(tmp_path / "data", requests_a_minute=40) as server:
        key = server.make_key()
        with Client(server.url, key, patience=0.0) as hasty, pytest.raises(TryLater) as raised:
            list_tasks(hasty, 60)
        assert raised.value.status == 429
        assert raised.value.seconds in (1.0, 2.0)
        with Client(server.url, key) as patient:
            began = time.monotonic()
            list_tasks(patient, 3)
        assert 2.0 < time.monotonic() - began < 30


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """Whoever it leads to would be shown the key."""
    with video_site(b"") as site, Client(f"{site.url}/to/elsewhere", "ctn_x") as client:
        with pytest.raises(Refused, match="elsewhere"):
            client.task("abc")
        assert len(site.asked) == 1


def test_a_server_that_is_none_of_ours(live: LiveServer) -> None:
    with pytest.raises(SettingError):
        Client("example.org", "ctn_x")
    with Client(f"{live.url}/elsewhere", "ctn_x") as client, pytest.raises(NotFound):
        client.task("abc")
