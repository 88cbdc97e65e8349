"""Frames in groups: the source's own packets where they stand alone, else JPEGs."""

from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from contanos.errors import SettingError
from contanos.models.fetch import fetch
from contanos.testing.videos import corrupt, make_video, remake_packets
from contanos.video import packets as packets_module
from contanos.video import single as single_module
from contanos.video.codec import FrameCodec
from contanos.video.frame import BadFrame, Frame, Matrix
from contanos.video.group import FrameGroup
from contanos.video.jpeg import encode_jpeg
from contanos.video.keypackets import KeyPackets
from contanos.video.single import single
from contanos.video.source import VideoSource
from video_analysis.models import manifest

SOURCE = FrameCodec.parse("source")
ALT_REF = {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "12"}


def x264(settings: str) -> dict[str, str]:
    return {"x264-params": settings}


def x265(settings: str) -> dict[str, str]:
    return {"x265-params": f"log-level=none:{settings}"}


CLOSED = x264("keyint=12:bframes=3:scenecut=0")
HEVC_CLOSED = x265("keyint=12:open-gop=0")
STAND_ALONE: dict[str, tuple[str, dict[str, Any], list[int]]] = {
    "h264 with B-frames": ("mp4", {"options": CLOSED}, [12, 12, 6]),
    "h264 without": ("mp4", {"options": x264("keyint=12:bframes=0")}, [12, 12, 6]),
    "h264, open groups": ("mp4", {"options": x264("keyint=12:open-gop=1:bframes=3")}, [30]),
    "h264, no key frames": ("mp4", {"options": x264("keyint=12:intra-refresh=1")}, [30]),
    "h264 in MPEG-TS": ("ts", {"options": CLOSED}, [12, 12, 6]),
    "h264 in AVI": ("avi", {"options": CLOSED}, [12, 12, 6]),
    "h264 without a container": ("h264", {"options": CLOSED}, [12, 12, 6]),
    "h264 10-bit": ("mp4", {"options": CLOSED, "pix_fmt": "yuv420p10le"}, [12, 12, 6]),
    "h264 4:2:2": ("mp4", {"options": CLOSED, "pix_fmt": "yuv422p"}, [12, 12, 6]),
    "h264 full range": ("mp4", {"options": CLOSED, "pix_fmt": "yuvj420p"}, [12, 12, 6]),
    "h264 rotated": ("mp4", {"options": CLOSED, "rotation": 90}, [12, 12, 6]),
    "hevc": ("mp4", {"codec": "libx265", "options": HEVC_CLOSED}, [12, 12, 6]),
    "hevc in MPEG-TS": ("ts", {"codec": "libx265", "options": HEVC_CLOSED}, [12, 12, 6]),
    "hevc 10-bit": (
        "mkv",
        {"codec": "libx265", "options": HEVC_CLOSED, "pix_fmt": "yuv420p10le"},
        [12, 12, 6],
    ),
    "vp8, hidden frames": ("webm", {"codec": "libvpx", "options": ALT_REF}, [12, 12, 6]),
    "vp9, hidden frames": ("webm", {"codec": "libvpx-vp9", "options": ALT_REF}, [12, 12, 6]),
    "vp9, odd size": (
        "webm",
        {"codec": "libvpx-vp9", "options": ALT_REF, "size": (63, 47)},
        [12, 12, 6],
    ),
    "av1": (
        "mp4",
        {"codec": "libsvtav1", "options": {"g": "12", "preset": "12"}},
        [12, 12, 6],
    ),
    "mpeg4": ("avi", {"codec": "mpeg4"}, [12, 12, 6]),
    "mpeg2": ("ts", {"codec": "mpeg2video"}, [12, 12, 6]),
    "mpeg2, closed groups with B-frames": (
        "ts",
        {
            "codec": "mpeg2video",
            "options": {"bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"},
        },
        [10, 10, 10],
    ),
    "mjpeg": ("avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "frames": 3}, [1, 1, 1]),
    "mjpeg, odd size": (
        "mkv",
        {"codec": "mjpeg", "pix_fmt": "yuvj422p", "size": (63, 47), "frames": 2},
        [1, 1],
    ),
    "variable frame rate": (
        "mp4",
        {"options": x264("keyint=4"), "pts": [0, 1, 5, 6, 20, 21, 22, 40], "frames": 8}
        | {"time_base": Fraction(1, 90)},
        [4, 4],
    ),
}
FALL_BACK: dict[str, tuple[str, dict[str, Any], list[int], str]] = {
    "mpeg2, open groups": (
        "ts",
        {"codec": "mpeg2video", "options": {"bf": "2"}},
        [10],
        "pictures are shown before its key picture",
    ),
    "mpeg4, open groups": (
        "avi",
        {"codec": "mpeg4", "options": {"bf": "2"}},
        [10],
        "pictures are shown before its key picture",
    ),
    "h264 interlaced": (
        "mp4",
        {"options": x264("keyint=12:interlaced=1")},
        [],
        "interlaced pictures are filtered",
    ),
    "h264 4:4:4": (
        "mp4",
        {"options": CLOSED, "pix_fmt": "yuv444p"},
        [],
        "its pixel format, yuv444p, is not carried",
    ),
    "ffv1": ("mkv", {"codec": "ffv1"}, [], "groups of ffv1 are not known to stand alone"),
}


def grouped(
    path: Path, codec: FrameCodec = SOURCE, **options: Any
) -> tuple[list[FrameGroup], dict[str, int]]:
    with codec.open(path) as source:
        groups = codec.groups(source, **options)
        return list(groups), dict(groups.fallbacks)


def frames_of(path: Path) -> list[Frame | BadFrame]:
    with VideoSource(path) as source:
        return list(source)


def planes(frame: Frame) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    return [frame.y, frame.u, frame.v]


def psnr(a: Any, b: Any) -> float:
    error = float(np.mean((a.astype(float) - b) ** 2))
    return 10 * np.log10(255**2 / error) if error else 100.0


def check_against(expected: list[Frame | BadFrame], groups: list[FrameGroup]) -> None:
    """Each frame once, in order: the same bytes from packets, nearly the same from a JPEG."""
    found = [(group, frame_id) for group in groups for frame_id in range(group.frame_id, group.end)]
    assert [frame_id for _, frame_id in found] == [each.frame_id for each in expected]
    for (group, frame_id), frame in zip(found, expected, strict=True):
        got = group.frame(frame_id)
        if isinstance(frame, BadFrame):
            assert got == frame
            continue
        assert isinstance(got, Frame)
        names = ("frame_id", "pts", "time_base", "duration", "damaged", "matrix")
        assert all(getattr(got, name) == getattr(frame, name) for name in names)
        for a, b in zip(planes(got), planes(frame), strict=True):
            assert np.array_equal(a, b) if group.codec != "jpeg" else psnr(a, b) > 30


@pytest.mark.parametrize("kind", STAND_ALONE)
def test_groups_that_stand_alone_give_the_same_pixels(kind: str, tmp_path: Path) -> None:
    suffix, settings, lengths = STAND_ALONE[kind]
    path = make_video(tmp_path / f"v.{suffix}", **({"frames": 30} | settings))
    groups, fallbacks = grouped(path)
    assert (fallbacks, [len(group) for group in groups]) == ({}, lengths)
    assert "jpeg" not in {group.codec for group in groups}
    check_against(frames_of(path), groups)


@pytest.mark.parametrize("kind", FALL_BACK)
def test_other_groups_become_single_jpegs(kind: str, tmp_path: Path) -> None:
    suffix, settings, lengths, reason = FALL_BACK[kind]
    path = make_video(tmp_path / f"v.{suffix}", 30, **settings)
    groups, fallbacks = grouped(path)
    assert [len(group) for group in groups if group.codec != "jpeg"] == lengths
    assert fallbacks == {reason: 30 - sum(lengths)}
    check_against(frames_of(path), groups)


def test_the_sample_video_keeps_its_packets() -> None:
    path = fetch(manifest()["demo"])
    groups, fallbacks = grouped(path, max_frames=150)
    assert ([len(group) for group in groups], fallbacks) == ([60, 60, 30], {})
    with VideoSource(path) as source:
        for frame in islice(source, 150):
            if frame.frame_id % 60 in (0, 1, 29, 59):
                check_against([frame], [cut(groups[frame.frame_id // 60], frame.frame_id)])


def cut(group: FrameGroup, frame_id: int) -> FrameGroup:
    """The same packets for one frame only."""
    at = frame_id - group.frame_id
    return replace(
        group,
        frame_id=frame_id,
        places=group.places[at : at + 1],
        packets=group.packets[at : at + 1],
    )


@pytest.mark.parametrize("start", [0, 11, 12, 17, 29])
def test_a_later_start_gives_the_same_groups(start: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 30, options=CLOSED)
    whole, _ = grouped(path, max_frames=28)
    rest, _ = grouped(path, max_frames=28, start=start)
    assert rest == [group for group in whole if group.end > start]


@pytest.mark.parametrize("codec", ["source", "jpeg:90"])
def test_frames_that_nobody_wants_any_more_are_not_read(codec: str, tmp_path: Path) -> None:
    path, asked = make_video(tmp_path / "v.mp4", 30, options=CLOSED), 0

    def wanted() -> bool:
        nonlocal asked
        asked += 1
        return asked < 8

    groups, _ = grouped(path, FrameCodec.parse(codec), start=5, wanted=wanted)
    assert asked == 8
    assert max(group.end for group in groups) == 7


def test_a_limit_cuts_the_last_group(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 30, options=CLOSED)
    groups, fallbacks = grouped(path, max_frames=17)
    assert ([len(group) for group in groups], fallbacks) == ([12, 5], {})
    check_against(frames_of(path)[:17], groups)
    whole, _ = grouped(path)
    assert len(groups[1].payload) < len(whole[1].payload)


@pytest.mark.parametrize("start", [0, 15, 20])
def test_a_damaged_group_falls_back_alone(start: int, tmp_path: Path) -> None:
    """Also its frames before the damage, which were let go and are decoded again."""
    sound = make_video(tmp_path / "v.mp4", 30, options=CLOSED)
    path = corrupt(sound, tmp_path / "bad.mp4", [18], keep=5)
    groups, fallbacks = grouped(path, start=start)
    whole = [group for group in groups if group.codec != "jpeg"]
    assert [group.frame_id for group in whole] == ([0, 24] if start == 0 else [24])
    assert fallbacks == {"a frame of it is bad or damaged": 24 - max(start, 12)}
    frames = frames_of(path)
    assert any(isinstance(each, BadFrame) or each.damaged for each in frames[12:24])
    check_against(frames[start:], groups)


def test_a_lost_key_picture_costs_its_group_only(tmp_path: Path) -> None:
    sound = make_video(tmp_path / "v.mp4", 30, options=x264("keyint=12:bframes=0"))
    path = remake_packets(sound, tmp_path / "v.mkv", lambda n, data: None if n == 12 else data)
    groups, _ = grouped(path)
    frames = frames_of(path)
    check_against(frames, groups)
    assert groups[-1].codec == "h264"


def test_frames_before_the_first_key_picture_fall_back(tmp_path: Path) -> None:
    sound = make_video(tmp_path / "v.ts", 30, options=x264("keyint=12:bframes=0"))
    path = remake_packets(sound, tmp_path / "cut.ts", lambda n, data: data if n > 5 else None)
    groups, fallbacks = grouped(path)
    assert [len(group) for group in groups if group.codec != "jpeg"] == [12, 6]
    assert fallbacks == {"it does not begin with a key picture": sum(fallbacks.values())}
    check_against(frames_of(path), groups)


def test_a_change_of_size_is_not_carried(tmp_path: Path) -> None:
    small = make_video(tmp_path / "a.ts", 5, codec="mpeg2video")
    large = make_video(tmp_path / "b.ts", 5, codec="mpeg2video", size=(128, 96))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    groups, fallbacks = grouped(joined)
    assert fallbacks["its pictures are scaled to the size of the source's first"] == 5
    check_against(frames_of(joined), groups)


def test_groups_too_large_fall_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "v.mp4", 30, options=CLOSED)
    monkeypatch.setattr(packets_module, "MAX_PACKETS", 11)
    groups, fallbacks = grouped(path)
    assert fallbacks == {"it has more than 11 packets": 24}
    assert [len(group) for group in groups] == [1] * 24 + [6]
    check_against(frames_of(path), groups)
    monkeypatch.setattr(packets_module, "MAX_BYTES", 100)
    assert sum(grouped(path)[1].values()) == 30


def test_no_more_than_two_groups_of_packets_are_kept(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 60, options=CLOSED)
    with SOURCE.open(path) as source:
        assert source.packets is not None
        for _ in SOURCE.groups(source):
            assert source.packets.kept <= 24
        assert source.packets.kept == 0


def test_a_source_must_keep_its_packets(tmp_path: Path) -> None:
    with VideoSource(make_video(tmp_path / "v.mp4")) as source, pytest.raises(SettingError):
        SOURCE.groups(source)


def test_headers_sent_only_once_are_needed_later() -> None:
    """Start codes, and a parameter set that is not in the stream's header."""
    idr, sps = b"\0\0\1\x65abc", b"\0\0\1\x67xyz"
    keys = KeyPackets("h264", b"")
    assert [keys.begins(data) for data in (sps + idr, idr, sps + idr)] == [True, False, True]
    keys = KeyPackets("h264", sps)
    assert [keys.begins(data) for data in (sps + idr, idr, b"\0\0\1\x41abc")] == [True, True, False]


@pytest.mark.parametrize(("build", "again"), [(33, False), (34, True), (165, True)])
def test_an_encoder_that_decoders_work_around_must_be_named(build: int, again: bool) -> None:
    idr, named = b"\0\0\1\x65abc", b"\0\0\1\x06x264 - core %d r1" % build
    keys = KeyPackets("h264", b"")
    assert [keys.begins(data) for data in (named + idr, idr)] == [True, again]


def test_mpeg4_needs_the_mark_of_its_encoder() -> None:
    layer, mark, picture = b"\0\0\1\x20abc", b"\0\0\1\xb2XviD0064", b"\0\0\1\xb6\x10abc"
    keys = KeyPackets("mpeg4", layer)
    packets = (layer + mark + picture, layer + picture, mark + picture)
    assert [keys.begins(data) for data in packets] == [True, False, True]


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video"])
@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\1", b"\xff" * 9])
def test_no_decoder_begins_at_rubbish(codec: str, data: bytes) -> None:
    assert not KeyPackets(codec, data).begins(data)


@pytest.mark.parametrize("text", ["jpeg", "jpeg:0", "jpeg:101", "jpeg:x", "png", "", "Source"])
def test_other_settings_are_refused(text: str) -> None:
    with pytest.raises(SettingError):
        FrameCodec.parse(text)


@pytest.mark.parametrize("text", ["jpeg:1", "jpeg:85", "jpeg:100", "source"])
def test_a_setting_is_read(text: str) -> None:
    assert str(FrameCodec.parse(text)) == text


def test_jpegs_of_every_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 10, size=(62, 46))
    codec = FrameCodec.parse("jpeg:90")
    groups, fallbacks = grouped(path, codec, start=3, max_frames=8)
    assert ([group.frame_id for group in groups], fallbacks) == ([3, 4, 5, 6, 7], {})
    frames = frames_of(path)[3:8]
    check_against(frames, groups)
    for group, frame in zip(groups, frames, strict=True):
        assert isinstance(frame, Frame)
        through, read = codec.through(frame), group.frame(frame.frame_id)
        assert isinstance(through, Frame)
        assert isinstance(read, Frame)
        assert all(map(np.array_equal, planes(through), planes(read)))


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (1, 1), (65, 48), (17, 130)])
def test_a_jpeg_keeps_planes_range_and_matrix(size: tuple[int, int]) -> None:
    """Smooth slopes from black to white, and what lies between in colour."""
    width, height = size
    y, x = np.mgrid[:height, :width] / max(size)
    luma = (16 + 219 * (x + y) / 2).astype(np.uint8)
    u, v = (
        np.ascontiguousarray(plane[::2, ::2])
        for plane in ((16 + 224 * x).astype(np.uint8), (240 - 224 * y).astype(np.uint8))
    )
    frame = Frame(7, 70, Fraction(1, 10), luma, u, v, Matrix.BT2020, 10, damaged=True)
    got = FrameCodec.parse("jpeg:95").through(frame)
    assert isinstance(got, Frame)
    assert (got.frame_id, got.pts, got.duration, got.matrix) == (7, 70, 10, Matrix.BT2020)
    assert got.damaged
    assert [a.shape for a in planes(got)] == [a.shape for a in planes(frame)]
    assert min(psnr(a, b) for a, b in zip(planes(got), planes(frame), strict=True)) > 38


def test_a_plain_viewer_shows_black_as_black(tmp_path: Path) -> None:
    """The JPEG is full range, as its standard says."""
    grey = np.full((8, 8), 128, np.uint8)
    frame = Frame(0, 0, Fraction(1), np.full((16, 16), 16, np.uint8), grey, grey)
    with_white = Frame(0, 0, Fraction(1), np.full((16, 16), 235, np.uint8), grey, grey)
    shown = [
        cv2.imdecode(np.frombuffer(encode_jpeg(each, 90), np.uint8), cv2.IMREAD_COLOR)
        for each in (frame, with_white)
    ]
    assert [int(each.min()) for each in shown] == [0, 255]


def test_failed_frames_and_frames_by_reference_pass_through() -> None:
    bad = BadFrame(3, 30, Fraction(1, 10), "it was lost")
    assert FrameCodec.parse("jpeg:90").through(bad) is bad
    assert single(bad, (64, 48), 90).frame(3) == bad
    grey = np.full((8, 8), 128, np.uint8)
    frame = Frame(0, 0, Fraction(1), np.full((16, 16), 16, np.uint8), grey, grey)
    assert SOURCE.through(frame) is frame


def test_a_jpeg_beyond_the_largest_record_is_a_failed_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single_module, "MAX_BYTES", 100)
    grey = np.full((8, 8), 128, np.uint8)
    frame = Frame(5, 0, Fraction(1), np.full((16, 16), 16, np.uint8), grey, grey)
    group = single(frame, (16, 16), 90)
    got = group.frame(5)
    assert isinstance(got, BadFrame)
    assert "lower the quality" in got.error
    assert group.payload == b""
