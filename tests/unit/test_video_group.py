"""A group of frames in one record: decoded on demand, read back as written, never trusted."""

import gc
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contanos.errors import MessageError
from contanos.testing.videos import make_video, read_number
from contanos.video import group as group_module
from contanos.video.codec import FrameCodec
from contanos.video.forward import ForwardDecoder
from contanos.video.frame import BadFrame, Frame, Matrix
from contanos.video.group import FrameGroup, Place
from contanos.video.jpeg import encode_jpeg
from contanos.video.orientation import Orientation
from contanos.video.pictures import Planes
from contanos.video.record import from_record, to_record
from contanos.video.shared import shared

SOURCE = FrameCodec.parse("source")
FRAMES = 24


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FrameGroup:
    """Of H.264 with B-frames."""
    path = tmp_path_factory.mktemp("group") / "v.mp4"
    make_video(path, FRAMES, options={"x264-params": "keyint=24:bframes=3"})
    with SOURCE.open(path) as source:
        (group,) = SOURCE.groups(source, source_id="camera 1")
    return group


@pytest.fixture
def group(whole: FrameGroup) -> FrameGroup:
    """With nothing decoded yet."""
    return replace(whole)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many decoders were begun, and pictures read."""
    counted = {"decoders": 0, "pictures": 0}

    class Counting(ForwardDecoder):
        def __init__(self, *args: Any) -> None:
            counted["decoders"] += 1
            super().__init__(*args)

        def _read(self, picture: Any) -> Planes:
            counted["pictures"] += 1
            return super()._read(picture)

    monkeypatch.setattr(group_module, "ForwardDecoder", Counting)
    return counted


def number(frame: Frame | BadFrame) -> int:
    assert isinstance(frame, Frame)
    return read_number(frame.y)


def test_frames_are_decoded_as_they_are_asked_for(
    group: FrameGroup, counts: dict[str, int]
) -> None:
    assert number(group.frame(3)) == 3
    assert counts == {"decoders": 1, "pictures": 1}
    assert [number(group.frame(at)) for at in range(4, FRAMES)] == list(range(4, FRAMES))
    assert counts == {"decoders": 1, "pictures": FRAMES - 3}


def test_two_readers_share_what_one_of_them_holds(
    group: FrameGroup, counts: dict[str, int]
) -> None:
    first = group.frame(5)
    assert group.frame(5) is first
    assert counts == {"decoders": 1, "pictures": 1}


def test_what_nobody_holds_is_let_go(group: FrameGroup) -> None:
    frame = weakref.ref(group.frame(5))
    gc.collect()
    assert frame() is None


def test_readers_that_lag_get_the_same_frames(group: FrameGroup, counts: dict[str, int]) -> None:
    """Each has its own decoder; none begins again at every frame."""
    seen = []
    for at in range(FRAMES + 10):
        seen += [number(group.frame(at - lag)) for lag in (0, 5, 10) if 0 <= at - lag < FRAMES]
    assert sorted(seen) == sorted(3 * list(range(FRAMES)))
    assert counts["decoders"] <= 3


def test_frames_backwards(group: FrameGroup) -> None:
    backwards = range(FRAMES - 1, -1, -1)
    assert [number(group.frame(at)) for at in backwards] == list(backwards)


def test_threads_may_read_at_once(group: FrameGroup) -> None:
    seen: list[list[int]] = []

    def read() -> None:
        seen.append([number(group.frame(at)) for at in range(FRAMES)])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == 4 * [list(range(FRAMES))]


def test_a_group_leaves_memory_with_its_last_reader(whole: FrameGroup) -> None:
    """At once, without waiting for cycles to be found: a decoder may hold much."""
    group = replace(whole)
    group.frame(2)
    alive = weakref.ref(group)
    decoder = weakref.ref(group._decoding.decoders[0])
    gc.disable()
    try:
        del group
        assert alive() is None
        assert decoder() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("frame_id", [-1, FRAMES])
def test_other_frames_are_not_in_it(group: FrameGroup, frame_id: int) -> None:
    with pytest.raises(KeyError):
        group.frame(frame_id)


def test_a_picture_that_does_not_come_is_a_failed_frame(group: FrameGroup) -> None:
    *before, last = group.packets
    assert last > 1
    cut = replace(group, packets=(*before, 400))
    got = cut.frame(FRAMES - 1)
    assert isinstance(got, BadFrame)
    assert (got.frame_id, got.pts) == (FRAMES - 1, group.places[-1].pts)
    wrong = replace(group, width=group.width + 2).frame(0)
    assert isinstance(wrong, BadFrame)
    assert "64 x 48" in wrong.error


def test_one_group_for_all_who_read_a_record(group: FrameGroup) -> None:
    made: list[FrameGroup] = []

    def make() -> FrameGroup:
        made.append(replace(group))
        return made[-1]

    key = ("raw_frames_a", 0, 7)
    first = shared(key, make)
    assert shared(key, make) is first
    assert shared(("raw_frames_a", 0, 8), make) is not first
    made.clear()
    del first
    shared(key, make)
    assert len(made) == 1


def test_a_record_that_cannot_be_read_is_tried_again(group: FrameGroup) -> None:
    def fail() -> FrameGroup:
        raise MessageError("not now")

    key = ("raw_frames_b", 0, 0)
    with pytest.raises(MessageError):
        shared(key, fail)
    assert shared(key, lambda: group) is group


def test_a_record_reads_as_it_was_written(group: FrameGroup) -> None:
    value, headers = to_record(group)
    read = from_record(value, headers)
    assert read == group
    assert to_record(read) == (value, headers)
    assert [number(read.frame(at)) for at in range(FRAMES)] == list(range(FRAMES))
    text = dict(headers)
    assert (text["codec"], text["source_id"], text["frames"]) == (b"h264", b"camera 1", b"24")


def test_any_player_opens_the_value(group: FrameGroup, tmp_path: Path) -> None:
    path = tmp_path / "value.nut"
    path.write_bytes(to_record(group)[0])
    with FrameCodec.parse("jpeg:90").open(path) as source:
        assert [number(frame) for frame in source] == list(range(FRAMES))
        assert source.timestamps_fixed == source.timestamps_made_up == 0


frame_ids = st.integers(0, 2**62)
small = st.integers(1, 40)
orientations = st.builds(Orientation, st.booleans(), st.booleans(), st.booleans())


@st.composite
def jpeg_groups(draw: st.DrawFn) -> FrameGroup:
    width, height = draw(small), draw(small)
    error = draw(st.none() | st.text())
    half = ((height + 1) // 2, (width + 1) // 2)
    chroma = np.full(half, draw(st.integers(16, 240)), np.uint8)
    luma = np.full((height, width), draw(st.integers(16, 235)), np.uint8)
    frame = Frame(0, 0, Fraction(1), luma, chroma, chroma)
    pts, duration = draw(st.integers(-(2**63), 2**63 - 1)), draw(st.integers(0, 2**40))
    return FrameGroup(
        frame_id=draw(frame_ids),
        places=(Place(pts, duration, error, draw(st.booleans())),),
        time_base=Fraction(draw(small), draw(st.integers(1, 2**31 - 1))),
        width=width,
        height=height,
        matrix=draw(st.sampled_from(Matrix)),
        codec="jpeg",
        payload=encode_jpeg(frame, draw(st.integers(1, 100))) if error is None else b"",
        source_id=draw(st.text()),
    )


@given(jpeg_groups())
def test_any_single_frame_survives_its_record(group: FrameGroup) -> None:
    read = from_record(*to_record(group))
    assert read == group
    got = read.frame(group.frame_id)
    assert isinstance(got, Frame) == (group.places[0].error is None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame_id=frame_ids, orientation=orientations, full=st.booleans(), source_id=st.text())
def test_any_group_survives_its_record(
    whole: FrameGroup, frame_id: int, orientation: Orientation, full: bool, source_id: str
) -> None:
    group = replace(
        whole, frame_id=frame_id, orientation=orientation, full_range=full, source_id=source_id
    )
    assert from_record(*to_record(group)) == group


def test_rotation_is_written_as_degrees(group: FrameGroup) -> None:
    turned = replace(group, orientation=Orientation(True, False, True))
    headers = dict(to_record(turned)[1])
    assert (headers["rotation"], headers["mirrored"]) == (b"90", b"false")


CONTRADICTIONS: dict[str, bytes] = {
    "schema": b"2",
    "frame_id": b"-1",
    "frames": b"25",
    "pts": b"[1, 1]",
    "durations": b"[]",
    "time_base": b"[1, 0]",
    "width": b"100000",
    "height": b"0",
    "matrix": b"BT0",
    "codec": b"vp9",
    "rotation": b"45",
    "packets": b"[0]",
    "errors": b'{"99": "lost"}',
    "damaged": b"[24]",
    "source_id": b"\xff",
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_header_that_is_wrong_is_refused(group: FrameGroup, name: str) -> None:
    value, headers = to_record(group)
    changed = [(key, CONTRADICTIONS[name] if key == name else text) for key, text in headers]
    assert changed != headers
    if name == "width":
        changed = [(key, b"100000" if key == "height" else text) for key, text in changed]
    with pytest.raises(MessageError):
        from_record(value, changed)


@pytest.mark.parametrize("name", ["schema", "frame_id", "frames", "pts", "codec", "matrix"])
def test_a_header_that_is_missing_is_refused(group: FrameGroup, name: str) -> None:
    value, headers = to_record(group)
    with pytest.raises(MessageError):
        from_record(value, [(key, text) for key, text in headers if key != name])


def test_a_value_that_ends_early_is_refused(group: FrameGroup) -> None:
    value, headers = to_record(group)
    with pytest.raises(MessageError):
        from_record(value[: len(value) // 2], headers)


def test_a_record_too_large_is_refused(group: FrameGroup) -> None:
    value, headers = to_record(group)
    with pytest.raises(MessageError, match="larger"):
        from_record(value + bytes(8 << 20), headers)


@given(st.lists(st.tuples(st.sampled_from([*CONTRADICTIONS, "other"]), st.binary())), st.binary())
def test_rubbish_is_refused(headers: list[tuple[str, bytes]], value: bytes) -> None:
    with pytest.raises(MessageError):
        from_record(value, headers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    at=st.floats(0, 1, exclude_max=True),
    junk=st.binary(max_size=8),
    drop=st.integers(0, 8),
    early=st.booleans(),
)
def test_a_broken_value_is_refused_or_fails_frame_by_frame(
    whole: FrameGroup, at: float, junk: bytes, drop: int, early: bool
) -> None:
    value, headers = to_record(whole)
    place = int(at * (300 if early else len(value)))
    broken = value[:place] + junk + value[place + drop :]
    for frame in read_all(broken, headers):
        assert isinstance(frame, Frame | BadFrame)


def read_all(value: bytes, headers: list[tuple[str, bytes]]) -> Iterator[Frame | BadFrame]:
    try:
        group = from_record(value, headers)
    except MessageError:
        return
    yield from (group.frame(frame_id) for frame_id in range(group.frame_id, group.end))


@given(at=st.floats(0, 1, exclude_max=True), junk=st.binary(max_size=8), drop=st.integers(0, 8))
def test_a_broken_jpeg_is_refused_or_a_failed_frame(at: float, junk: bytes, drop: int) -> None:
    grey = np.full((20, 30), 128, np.uint8)
    frame = Frame(4, 0, Fraction(1), np.full((40, 60), 99, np.uint8), grey, grey)
    value = encode_jpeg(frame, 90)
    place = int(at * len(value))
    whole = FrameGroup(4, (Place(0),), Fraction(1), 60, 40, Matrix.BT709, "jpeg", value)
    broken = value[:place] + junk + value[place + drop :]
    for got in read_all(broken, to_record(whole)[1]):
        assert isinstance(got, BadFrame) or got.y.shape == (40, 60)
