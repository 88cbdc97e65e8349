"""Frames that cannot be decoded keep their place; files that were cut are said to be."""

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contanos.testing.videos import corrupt, make_video, read_number, remake_packets, truncate
from contanos.video.clock import Clock
from contanos.video.frame import BadFrame
from contanos.video.source import VideoSource


def seen(path: Path) -> tuple[list[int | None], VideoSource]:
    """The number each frame shows, None for a failed one; and the source, at its end."""
    with VideoSource(path) as source:
        frames = list(source)
    assert [frame.frame_id for frame in frames] == list(range(len(frames)))
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    shown = [None if isinstance(f, BadFrame) else read_number(f.y) for f in frames]
    assert source.failed == shown.count(None)
    return shown, source


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        ("avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("avi", {"codec": "mpeg4", "options": {"g": "1"}}),
        ("mkv", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("mp4", {"options": {"g": "1"}}),
    ],
)
@pytest.mark.parametrize("bad", [(0,), (3, 7), (4, 5), (9,)])
def test_a_bad_packet_costs_its_own_frame(
    suffix: str, settings: dict[str, Any], bad: tuple[int, ...], tmp_path: Path
) -> None:
    good = make_video(tmp_path / f"good.{suffix}", **settings)
    shown, _ = seen(corrupt(good, tmp_path / f"bad.{suffix}", bad))
    assert shown == [None if number in bad else number for number in range(10)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_bad_b_frame_keeps_its_place_in_presentation_order(suffix: str, tmp_path: Path) -> None:
    good = make_video(tmp_path / f"good.{suffix}", options={"b-adapt": "0", "bf": "2"})
    shown, _ = seen(corrupt(good, tmp_path / f"bad.{suffix}", [3]))  # decoded fourth, shown third
    assert len(shown) == 10
    assert shown.count(None) == 1
    assert all(number in (None, place) for place, number in enumerate(shown))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_without_timestamps_no_frame_goes_uncounted(codec: str, tmp_path: Path) -> None:
    good = make_video(tmp_path / "good.avi", 30, codec=codec, options={"bf": "2", "g": "10"})
    shown, _ = seen(corrupt(good, tmp_path / "bad.avi", [13]))
    assert len(shown) == 30
    assert shown[:9] == list(range(9))
    assert shown[22:] == list(range(22, 30))
    assert None in shown


def test_concealed_damage_is_counted(tmp_path: Path) -> None:
    good = make_video(tmp_path / "good.mp4", options={"bf": "0"})
    shown, source = seen(corrupt(good, tmp_path / "bad.mp4", [5], keep=12, fill=0))
    assert len(shown) == 10
    assert source.damaged + source.failed >= 1


LARGE: dict[str, Any] = {"frames": 60, "size": (320, 240)}


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        ("mp4", {"format_options": {"movflags": "faststart"}}),
        ("mkv", {}),
        ("webm", {"codec": "libvpx-vp9"}),
        ("avi", {"codec": "mpeg4"}),
        ("flv", {}),
    ],
)
def test_a_file_cut_in_the_middle_is_read_as_far_as_it_goes(
    suffix: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    whole = make_video(tmp_path / f"whole.{suffix}", **LARGE, **settings)
    shown, source = seen(truncate(whole, tmp_path / f"cut.{suffix}", 0.7))
    assert 5 < len(shown) <= 60
    assert shown[:5] == list(range(5))
    assert source.truncated


def test_a_file_whose_last_frames_were_left_out_is_whole(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv", 30)
    shorter = remake_packets(
        whole, tmp_path / "short.mkv", lambda number, data: data if number < 15 else None
    )
    shown, source = seen(shorter)
    assert len(shown) == 15
    assert source.truncated is None


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), max_size=50))
def test_the_clock_only_moves_forward(stamps: list[int | None]) -> None:
    clock = Clock(Fraction(25), Fraction(1, 1000))
    ticks = [clock.tick(stamp) for stamp in stamps]
    assert all(a < b for a, b in itertools.pairwise(ticks))
    assert clock.made_up == stamps.count(None)


@given(st.lists(st.integers(0, 2**40), unique=True, max_size=50))
def test_the_clock_leaves_good_timestamps_alone(stamps: list[int]) -> None:
    clock = Clock(Fraction(25), Fraction(1, 1000))
    assert [clock.tick(stamp) for stamp in sorted(stamps)] == sorted(stamps)
    assert clock.fixed == 0


def test_the_clock_goes_on_when_time_starts_again() -> None:
    clock = Clock(Fraction(25), Fraction(1, 1000))
    assert [clock.tick(t) for t in (9000, 9040, 0, 40, 80)] == [9000, 9040, 9080, 9120, 9160]
    assert clock.fixed == 1
