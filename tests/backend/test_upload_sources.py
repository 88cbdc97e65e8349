"""Videos that the server gets by itself: from where it may, and nowhere else."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from contanos.errors import InputError
from contanos.testing.videos import make_audio, make_video
from tests.backend.clients import ADA, ADMIN, Server, serving
from tests.backend.sources import VideoSite, video_site
from tests.backend.test_uploads import files_of, stored, used_by
from tests.backend.videos import UPLOADS, Headers, checked, video
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.uploads.sources import _is_public, source_of

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VideoSite]:
    with video_site(video(tmp_path)) as site:
        yield site


@pytest.fixture
def settings(settings: BackendSettings, site: VideoSite, tmp_path: Path) -> BackendSettings:
    """Everything but `/secret` may be fetched; there is a media folder."""
    allowed = ("videos", "chunked", "endless", "silent", "cut", "huge", "to", "missing")
    return settings.model_copy(
        update={
            "source_prefixes": tuple(f"{site.url}/{each}/" for each in allowed),
            "media_dir": tmp_path / "media",
            "upload_bytes": 4 * MIB,
            "upload_idle_seconds": 1.0,
        }
    )


@pytest.fixture
async def who(server: Server) -> Headers:
    return await server.log_in(ADMIN)


async def fetch(server: Server, who: Headers, url: str) -> httpx.Response:
    return await server.client.post(f"{UPLOADS}/from-url", json={"url": url}, headers=who)


@pytest.mark.parametrize("path", ["videos/a/walk.mp4", "chunked/walk.mp4", "to/videos/walk.mp4"])
async def test_a_video_is_fetched(
    server: Server, who: Headers, site: VideoSite, settings: BackendSettings, path: str
) -> None:
    made = await fetch(server, who, f"{site.url}/{path}?token=1#t=5")
    assert made.status_code == 201, made.text
    assert (made.json()["state"], made.json()["label"]) == ("receiving", "walk.mp4")
    found = await checked(server.client, who, made.json()["id"])
    assert (found["state"], found["width"]) == ("ready", 64), found
    assert found["bytes"] == len(site.data)
    assert await stored(server, found["id"]) == site.data
    assert await used_by(server, found["user_id"]) == len(site.data)
    assert files_of(settings) == [found["id"]]


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("missing/x.mp4", "answers 404"),
        ("cut/x.mp4", "did not deliver"),
        ("silent/x.mp4", "did not deliver|no byte came"),
        ("endless/x.mp4", "one upload may have"),
        ("huge/x.mp4", "one upload may have"),
        ("to/to/to/to/to/to/to/videos/x.mp4", "redirects more than"),
        ("to/secret/x.mp4", "does not fetch from there"),
        ("to/http://localhost:1/x.mp4", "does not fetch from there"),
        ("to/file:///etc/passwd", "plain http"),
    ],
)
async def test_what_does_not_come_is_refused_with_its_cause(
    server: Server,
    who: Headers,
    site: VideoSite,
    settings: BackendSettings,
    path: str,
    cause: str,
) -> None:
    made = await fetch(server, who, f"{site.url}/{path}")
    assert made.status_code == 201, made.text
    found = await checked(server.client, who, made.json()["id"])
    assert found["state"] == "refused"
    assert any(each in found["cause"] for each in cause.split("|")), found["cause"]
    assert "/secret/x.mp4" not in site.asked
    assert await used_by(server, found["user_id"]) == 0
    assert files_of(settings) == []


PREFIXES = ("https://a.org/videos/", "http://b.org:8080/")

ELSEWHERE = [
    "https://a.org/secret",
    "https://a.org/videos",
    "https://a.org/videos/../secret",
    "https://a.org/videos/%2e%2e/secret",
    "https://a.org/videos\\..\\secret",
    "https://a.org.evil.net/videos/x",
    "https://a.org@evil.net/videos/x",
    "https://user:password@a.org/videos/x",
    "https://evil.net/https://a.org/videos/",
    "http://a.org/videos/x",
    "https://a.org:8443/videos/x",
    "http://b.org/x",
    "ftp://a.org/videos/x",
    "file:///etc/passwd",
    "//a.org/videos/x",
    "https://",
    "x",
    "https://a.org\x00/videos/x",
    "https://a.org:99999/videos/",
    "https://[::1/videos/",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_only_what_begins_with_a_prefix(url: str) -> None:
    with pytest.raises(InputError):
        source_of(url, PREFIXES)


def test_what_begins_with_a_prefix() -> None:
    assert source_of("https://A.ORG:443/videos/x?y", PREFIXES).trusted
    assert source_of("http://b.org:8080/x", PREFIXES).trusted
    assert not source_of("https://anybody.org/x", ["https://"]).trusted
    with pytest.raises(InputError):
        source_of("https://a.org/videos/x", ())


PRIVATE = [
    "http://127.0.0.1:{port}/videos/x",
    "http://localhost:{port}/videos/x",
    "http://[::ffff:127.0.0.1]:{port}/videos/x",
    "http://2130706433:{port}/videos/x",
    "http://0x7f.1:{port}/videos/x",
    "http://0.0.0.0:{port}/videos/x",
    "http://10.0.0.1/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/x",
    "http://no-such-host.invalid/x",
]


@pytest.fixture
async def open_server(settings: BackendSettings) -> AsyncIterator[Server]:
    """One that fetches from every public host."""
    everywhere = settings.model_copy(update={"source_prefixes": ("http://", "https://")})
    async with serving(everywhere) as server:
        yield server


@pytest.mark.parametrize("url", PRIVATE)
async def test_hosts_that_are_not_public_must_be_named(
    open_server: Server, site: VideoSite, url: str
) -> None:
    who = await open_server.log_in(ADMIN)
    made = await fetch(open_server, who, url.format(port=site.server_address[1]))
    assert made.status_code == 422, made.text
    assert not site.asked


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert _is_public(address) is public


async def test_a_file_of_the_media_folder_is_used_where_it_is(
    server: Server, who: Headers, settings: BackendSettings
) -> None:
    assert settings.media_dir
    (settings.media_dir / "2026").mkdir(parents=True)
    path = make_video(settings.media_dir / "2026" / "walk.mp4", 12)
    given = {"path": "2026/walk.mp4"}
    made = await server.client.post(f"{UPLOADS}/from-media", json=given, headers=who)
    assert made.status_code == 201, made.text
    found = await checked(server.client, who, made.json()["id"])
    assert (found["state"], found["frames"]) == ("ready", 12), found
    assert files_of(settings) == []
    assert await used_by(server, found["user_id"]) == 0
    assert await stored(server, found["id"]) == path.read_bytes()
    deleted = await server.client.delete(f"{UPLOADS}/{found['id']}", headers=who)
    assert deleted.status_code == 204
    assert path.exists()


async def test_a_media_file_that_is_no_video_is_refused_and_stays(
    server: Server, who: Headers, settings: BackendSettings
) -> None:
    assert settings.media_dir
    settings.media_dir.mkdir()
    path = make_audio(settings.media_dir / "sound.mp4")
    given = {"path": "sound.mp4"}
    made = await server.client.post(f"{UPLOADS}/from-media", json=given, headers=who)
    found = await checked(server.client, who, made.json()["id"])
    assert "only audio" in found["cause"]
    assert path.exists()


async def test_only_files_inside_the_media_folder(
    server: Server, who: Headers, settings: BackendSettings, tmp_path: Path
) -> None:
    media = settings.media_dir
    assert media
    (media / "folder").mkdir(parents=True)
    outside = make_video(tmp_path / "outside.mp4")
    (media / "link.mp4").symlink_to(outside)
    (media / "up").symlink_to(tmp_path)
    (media / "loop").symlink_to(media / "loop")
    os.mkfifo(media / "pipe")
    wrong = [
        "../outside.mp4",
        str(outside),
        "link.mp4",
        "up/outside.mp4",
        "folder",
        "loop",
        "pipe",
        "absent",
        "a\x00b",
        "x" * 2000,
        ".",
    ]
    for path in wrong:
        given = {"path": path}
        answer = await server.client.post(f"{UPLOADS}/from-media", json=given, headers=who)
        assert answer.status_code == 422, path
        assert str(tmp_path) not in answer.json()["detail"] or path == str(outside)
    assert (await server.client.get(UPLOADS, headers=who)).json()["items"] == []


async def test_the_media_folder_is_the_administrators(server: Server) -> None:
    await server.let_in(ADA)
    ada = await server.log_in(ADA)
    given = {"path": "x"}
    answer = await server.client.post(f"{UPLOADS}/from-media", json=given, headers=ada)
    assert answer.status_code == 403
