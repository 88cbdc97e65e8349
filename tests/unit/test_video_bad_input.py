"""What is no video, or claims too much, is refused with a message that says what to do."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from contanos.errors import VideoError
from contanos.testing.videos import make_audio, make_video, patch_avi, truncate
from contanos.video.limits import Limits
from contanos.video.source import VideoSource

ENCRYPTION = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "00" * 16,
    "encryption_kid": "11" * 16,
}


def _text(path: Path) -> Path:
    path.write_text("no video at all\n" * 40)
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def _huge(path: Path) -> Path:
    plain = make_video(path.with_name("plain.avi"), codec="ffv1")
    return patch_avi(plain, path, size=(100_000, 100_000))


def _endless(path: Path) -> Path:
    plain = make_video(path.with_name("plain.avi"), codec="mpeg4")
    return patch_avi(plain, path, frames=10_000_000)


CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda path: path, "does not exist"),
    "directory": (_directory, "is a directory"),
    "empty": (_empty, "is empty"),
    "text": (_text, "no known video format"),
    "audio": (lambda path: make_audio(path), "only audio"),
    "encrypted": (lambda path: make_video(path, format_options=ENCRYPTION), "is encrypted"),
    "no index": (
        lambda path: truncate(make_video(path.with_name("whole.mp4"), 60), path, 0.6),
        "index is missing",
    ),
    "huge pictures": (_huge, "size of its pictures"),
    "ten million frames": (_endless, "10000000 frames"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused(case: str, tmp_path: Path) -> None:
    make, message = CASES[case]
    path = make(tmp_path / "upload.mp4")
    with pytest.raises(VideoError, match=message) as caught:
        VideoSource(path)
    assert str(path) in str(caught.value)


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", size=(640, 480))
    with pytest.raises(VideoError, match="640 x 480"):
        VideoSource(path, Limits(max_pixels=640 * 480 - 1))
    with VideoSource(path, Limits(max_pixels=640 * 480)) as source:
        assert source.width == 640


def test_more_frames_than_allowed_are_refused_where_no_header_counts_them(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", 12)
    with VideoSource(path, Limits(max_frames=11)) as source, pytest.raises(VideoError):
        list(source)
    with VideoSource(path, Limits(max_frames=12)) as source:
        assert len(list(source)) == 12


@pytest.mark.parametrize(
    "script",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {secret}\n",
    ],
    ids=["hls", "concat"],
)
def test_a_playlist_cannot_read_another_file(script: str, tmp_path: Path) -> None:
    secret = make_video(tmp_path / "secret.ts")
    for name in ("upload.mp4", "upload.m3u8", "upload.ffconcat"):
        upload = tmp_path / name
        upload.write_text(script.format(secret=secret))
        with pytest.raises(VideoError, match="playlist or a script"):
            VideoSource(upload)


def test_a_name_is_never_a_pattern_or_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "secret1.png", 1, codec="png", pix_fmt="rgb24")
    for name in (
        "secret%d.png",
        "concat:secret1.png",
        "file:secret1.png",
        "http://localhost/v.mp4",
    ):
        with pytest.raises(VideoError, match="does not exist"):
            VideoSource(name)
    (tmp_path / "secret%d.png").write_bytes((tmp_path / "secret1.png").read_bytes())
    with VideoSource("secret%d.png") as source:
        assert len(list(source)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4")
    path.chmod(0)
    with pytest.raises(VideoError, match="cannot be read"):
        VideoSource(path)


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="not a regular file"):
        VideoSource(tmp_path / "pipe.mp4")
