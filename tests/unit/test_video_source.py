"""Every kind of video comes out complete, in order, upright and on time."""

import itertools
import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contanos.testing.videos import make_video, numbered, read_number
from contanos.video.frame import BadFrame, Frame, Matrix
from contanos.video.source import VideoSource

DATA = Path(os.environ.get("CONTANOS_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
X265 = {"x265-params": "log-level=none"}
ALT_REF = {"auto-alt-ref": "1", "lag-in-frames": "16"}
B_FRAMES = {"bf": "2"}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "h264": ("mp4", {}),
    "h264 10-bit": ("mp4", {"pix_fmt": "yuv420p10le"}),
    "h264 4:4:4": ("mp4", {"pix_fmt": "yuv444p"}),
    "h264 interlaced": ("mp4", {"options": {"x264-params": "interlaced=1"}}),
    "h264 in AVI": ("avi", {}),
    "h264 in MPEG-TS": ("ts", {}),
    "h264 in FLV": ("flv", {}),
    "h264 without a container": ("h264", {}),
    "h264 in fragments": ("mp4", {"format_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "hevc": ("mp4", {"codec": "libx265", "options": X265}),
    "hevc 10-bit": ("mkv", {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": X265}),
    "vp8 with hidden frames": ("webm", {"codec": "libvpx", "options": ALT_REF, "frames": 40}),
    "vp9 with hidden frames": ("webm", {"codec": "libvpx-vp9", "options": ALT_REF, "frames": 40}),
    "mpeg4": ("avi", {"codec": "mpeg4"}),
    "mpeg4 B-frames in AVI": ("avi", {"codec": "mpeg4", "options": B_FRAMES}),
    "mpeg4 B-frames in MP4": ("mp4", {"codec": "mpeg4", "options": B_FRAMES}),
    "mjpeg": ("avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "mpeg2": ("ts", {"codec": "mpeg2video", "options": B_FRAMES}),
    "mpeg2 in a program stream": ("mpg", {"codec": "mpeg2video", "options": B_FRAMES}),
    "mpeg2 interlaced": ("ts", {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme"}}),
    "ffv1, odd size": ("mkv", {"codec": "ffv1", "size": (63, 47)}),
    "prores": ("mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    "qtrle with alpha": ("mov", {"codec": "qtrle", "pix_fmt": "argb"}),
    "wmv": ("wmv", {"codec": "wmv2"}),
    "gif": ("gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    "png": ("png", {"codec": "png", "pix_fmt": "rgba", "frames": 1}),
    "jpeg": ("jpg", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "frames": 1}),
    "with sound": ("mp4", {"audio": "aac"}),
}


def numbers(source: VideoSource) -> list[int | None]:
    """The number each frame shows, None for a failed one; frame ids are checked on the way."""
    seen: list[int | None] = []
    for expected, frame in enumerate(source):
        assert frame.frame_id == expected
        seen.append(read_number(frame.y) if isinstance(frame, Frame) else None)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_comes_out_once_and_in_order(kind: str, tmp_path: Path) -> None:
    suffix, settings = KINDS[kind]
    path = make_video(tmp_path / f"video.{suffix}", **settings)
    with VideoSource(path) as source:
        assert numbers(source) == list(range(settings.get("frames", 10)))
        assert (source.failed, source.damaged, source.truncated) == (0, 0, None)
        assert source.read == settings.get("frames", 10)
        assert source.timestamps_fixed == 0
        assert (source.width, source.height) == settings.get("size", (64, 48))


@pytest.mark.parametrize("kind", ["h264", "mpeg4 B-frames in AVI", "mpeg2", "h264 interlaced"])
def test_frames_are_a_25th_apart(kind: str, tmp_path: Path) -> None:
    suffix, settings = KINDS[kind]
    with VideoSource(make_video(tmp_path / f"video.{suffix}", **settings)) as source:
        times = [frame.pts * frame.time_base for frame in source]
        assert {b - a for a, b in itertools.pairwise(times)} == {Fraction(1, 25)}
        assert source.rate == 25


def test_a_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    pts = [0, 1, 5, 6, 20, 21, 22, 40]
    path = make_video(tmp_path / "v.mp4", 8, pts=pts, time_base=Fraction(1, 90))
    with VideoSource(path) as source:
        assert [frame.pts * frame.time_base * 90 for frame in source] == pts


def test_missing_timestamps_are_made_up_from_the_rate(tmp_path: Path) -> None:
    with VideoSource(make_video(tmp_path / "v.h264")) as source:
        times = [frame.seconds for frame in source]
        assert source.timestamps_made_up == 10
    assert np.allclose(np.diff(times), 1 / 25)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied(degrees: int, turns: int, tmp_path: Path) -> None:
    number = 0b0000_0000_0000_0011
    path = make_video(
        tmp_path / "v.mp4",
        1,
        rotation=degrees,
        aspect=Fraction(4, 3),
        picture=lambda _: numbered(number, (64, 48)),
    )
    with VideoSource(path) as source:
        frame = next(iter(source))
        assert isinstance(frame, Frame)
        upright = np.rot90(numbered(number, (64, 48))[..., 0], turns)
        assert frame.y.shape == upright.shape == (source.height, source.width)
        assert read_number(frame.y) == read_number(upright)
        assert source.sample_aspect_ratio == (Fraction(3, 4) if turns % 2 else Fraction(4, 3))


def test_the_orientation_of_a_photograph_is_applied(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "v.jpg", 1, codec="mjpeg", pix_fmt="yuvj420p").read_bytes()
    orientation_6 = struct.pack("<HHIHHI", 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + orientation_6
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(
        plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    )
    with VideoSource(turned) as source:
        assert (source.width, source.height) == (48, 64)
        assert source.duration is None


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("mjpeg", "yuvj420p", "avi"),
        ("png", "rgb24", "mov"),
        ("libx264", "yuv420p", "mp4"),
        ("libx264", "yuv444p", "mp4"),
        ("prores_ks", "yuv422p10le", "mov"),
    ],
)
def test_colours_and_range_come_out_right(
    codec: str, pix_fmt: str, suffix: str, tmp_path: Path
) -> None:
    colour = np.array([40, 90, 230], np.uint8)
    flat = np.tile(colour, (48, 64, 1))
    path = tmp_path / f"v.{suffix}"
    make_video(path, 2, codec=codec, pix_fmt=pix_fmt, picture=lambda _: flat)
    with VideoSource(path) as source:
        frame = next(iter(source))
        assert isinstance(frame, Frame)
        assert frame.matrix is Matrix.BT601
        assert np.abs(frame.bgr().astype(int) - colour).max() <= 6


def test_limited_range_survives_full_range_sources(tmp_path: Path) -> None:
    white = np.full((48, 64, 3), 255, np.uint8)
    path = tmp_path / "v.avi"
    make_video(path, 1, codec="mjpeg", pix_fmt="yuvj420p", picture=lambda _: white)
    with VideoSource(path) as source:
        frame = next(iter(source))
        assert isinstance(frame, Frame)
        assert abs(int(frame.y[24, 32]) - 235) <= 1


def test_leaving_early_does_no_harm(tmp_path: Path) -> None:
    source = VideoSource(make_video(tmp_path / "v.mp4", 30))
    next(iter(source))
    source.close()
    source.close()


def test_a_size_that_changes_on_the_way_is_scaled_to_the_first(tmp_path: Path) -> None:
    small = make_video(tmp_path / "a.ts", 5, codec="mpeg2video")
    large = make_video(tmp_path / "b.ts", 5, codec="mpeg2video", size=(128, 96))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoSource(joined) as source:
        frames = list(source)
    shown = [read_number(f.y) if isinstance(f, Frame) else None for f in frames]
    assert {f.y.shape for f in frames if isinstance(f, Frame)} == {(48, 64)}
    # the decoder drops the picture that it held back when the size changed: a gap, in its place
    assert shown == [0, 1, 2, 3, None, 0, 1, 2, 3, 4]
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


REAL = {
    "mot15/TUD-Campus/TUD-Campus.mp4": 71,
    "videos/intel_one-by-one-person-detection.mp4": 1394,
}


@pytest.mark.parametrize("name", REAL)
def test_real_videos_are_complete(name: str) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is absent")
    with VideoSource(DATA / name) as source:
        frames = sum(not isinstance(frame, BadFrame) for frame in source)
        assert (frames, source.failed, source.truncated) == (REAL[name], 0, None)
        assert source.frames_estimate == frames


def test_interlaced_pictures_are_made_progressive(tmp_path: Path) -> None:
    """A bar that moves between the two fields leaves a comb, which must be gone."""

    def two_fields(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        picture = np.full((96, 128, 3), 30, np.uint8)
        picture[0::2, 16 + 8 * number : 32 + 8 * number] = 220
        picture[1::2, 20 + 8 * number : 36 + 8 * number] = 220
        return picture

    combs = {}
    for name, x264 in {"progressive": "", "interlaced": "interlaced=1:tff=1"}.items():
        options = {"crf": "5", "x264-params": x264}
        path = tmp_path / f"{name}.mp4"
        make_video(path, 8, size=(128, 96), options=options, picture=two_fields)
        with VideoSource(path) as source:
            frames = [frame for frame in source if isinstance(frame, Frame)]
        luma = frames[4].y.astype(int)
        combs[name] = np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean()
        assert len(frames) == 8
    assert combs["interlaced"] < combs["progressive"] / 3
