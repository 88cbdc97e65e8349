"""The rules of ByteTrack, and what holds whatever the detections."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contanos.errors import InputError, MessageError, SettingError
from video_analysis.bytetrack.tracker import Tracker, TrackerSettings

Frame = tuple[NDArray[np.float64], NDArray[np.float64]]

A, B = [10.0, 10, 50, 110], [300.0, 10, 340, 110]
# Small enough a scene that people meet, vanish, return and are doubtful all the time.
place = st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(-3, 3))
person = st.tuples(place, st.sampled_from([0.05, 0.1, 0.3, 0.59, 0.6, 0.7, 0.95]))
scenes = st.lists(st.lists(person, max_size=6), max_size=25)


def frame_of(people: list[tuple[tuple[int, int, int], float]]) -> Frame:
    boxes = [[40 * x + d, 60 * y, 40 * x + d + 45, 60 * y + 90] for (x, y, d), _ in people]
    return np.array(boxes, np.float64).reshape(-1, 4), np.array([score for _, score in people])


def ids_of(tracker: Tracker, *detections: tuple[list[float], float]) -> list[int]:
    ids = tracker.update([b for b, _ in detections], [s for _, s in detections])
    return [int(track_id) for track_id in ids]


def seen_twice(box: list[float]) -> Tracker:
    tracker = Tracker()
    ids_of(tracker, (box, 0.9))
    ids_of(tracker, (box, 0.9))
    return tracker


@settings(max_examples=60)
@given(scenes, st.data())
def test_restored_anywhere_it_gives_the_same_ids(
    scene: list[list[tuple[tuple[int, int, int], float]]], data: st.DataObject
) -> None:
    frames = [frame_of(people) for people in scene]
    cut = data.draw(st.integers(0, len(frames)))
    tracker, other = Tracker(), Tracker()
    for frame in frames[:cut]:
        tracker.update(*frame)
    other.update([A], [0.9])  # what it knew before must not matter
    other.restore(tracker.snapshot())
    assert other.snapshot() == tracker.snapshot()
    for frame in frames[cut:]:
        assert other.update(*frame).tolist() == tracker.update(*frame).tolist()
    assert other.snapshot() == tracker.snapshot()


@settings(max_examples=40)
@given(scenes)
def test_ids_are_unique_in_a_frame_and_come_in_order(
    scene: list[list[tuple[tuple[int, int, int], float]]],
) -> None:
    tracker, highest = Tracker(), 0
    for people in scene:
        boxes, scores = frame_of(people)
        ids = tracker.update(boxes, scores)
        held = ids[ids > 0].tolist()
        assert ids.dtype == np.int64
        assert ids.shape == scores.shape
        assert len(set(held)) == len(held)
        assert not ids[scores < 0.1].any()
        assert max(held, default=0) <= highest + len(held)
        highest = max([highest, *held])


@settings(max_examples=40)
@given(scenes)
def test_two_trackers_agree(scene: list[list[tuple[tuple[int, int, int], float]]]) -> None:
    frames = [frame_of(people) for people in scene]
    first, second = Tracker(), Tracker()
    ids = [first.update(*frame).tolist() for frame in frames]
    assert ids == [second.update(*frame).tolist() for frame in frames]


@settings(max_examples=30)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=5, max_size=5))
def test_any_numbers_at_all(numbers: list[float]) -> None:
    tracker = seen_twice(A)
    ids = tracker.update([numbers[:4], A], [numbers[4], 0.9])
    assert 1 in ids.tolist()
    assert np.isfinite(np.frombuffer(tracker.snapshot()[30:], np.float64)).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_box_that_is_not_finite_is_claimed_by_none(bad: float) -> None:
    tracker = Tracker()
    assert ids_of(tracker, ([bad, 0, 9, 9], 0.9), ([0, 0, bad, 9], 0.9), (A, 0.9)) == [0, 0, 1]
    assert ids_of(tracker, (A, bad), (B, 0.9)) == [0, 0]


def test_a_box_without_area_is_claimed_by_none() -> None:
    assert ids_of(Tracker(), ([5, 5, 5, 9], 0.9), ([9, 9, 5, 5], 0.9)) == [0, 0]


def test_first_frame_is_confirmed_at_once_and_later_ones_at_second_sight() -> None:
    tracker = Tracker()
    assert ids_of(tracker, (A, 0.9)) == [1]
    assert ids_of(tracker, (B, 0.9), (A, 0.9)) == [0, 1]
    assert ids_of(tracker, (B, 0.9), (A, 0.9)) == [2, 1]


def test_no_detections_at_all() -> None:
    tracker = Tracker()
    for _ in range(3):
        assert tracker.update([], []).tolist() == []
    assert ids_of(tracker, (A, 0.9)) == [0]
    assert ids_of(tracker, (A, 0.9)) == [1]


def test_a_doubtful_box_keeps_a_track_but_starts_none() -> None:
    tracker = seen_twice(A)
    assert ids_of(tracker, (A, 0.1), (B, 0.65)) == [1, 0]
    assert ids_of(tracker, (A, 0.05), (B, 0.65)) == [0, 0]


def test_a_doubtful_box_does_not_revive_a_lost_track() -> None:
    tracker = seen_twice(A)
    assert ids_of(tracker) == []
    assert ids_of(tracker, (A, 0.3)) == [0]
    assert ids_of(tracker, (A, 0.9)) == [1]


def test_a_doubtful_box_confirms_nobody() -> None:
    tracker = seen_twice(A)
    ids_of(tracker, (A, 0.9), (B, 0.9))
    assert ids_of(tracker, (A, 0.9), (B, 0.5)) == [1, 0]


def test_a_person_lost_while_shrinking_keeps_a_height() -> None:
    tracker = Tracker()
    for cut in range(0, 30, 2):
        assert ids_of(tracker, ([10, 10 + cut, 50, 110 - cut], 0.9)) == [1]
    for _ in range(20):
        ids_of(tracker)
    assert ids_of(tracker, ([10, 38, 50, 82], 0.9)) == [1]


def test_sure_boxes_choose_before_doubtful_ones() -> None:
    tracker = seen_twice(A)
    near = [A[0] + 12, A[1], A[2] + 12, A[3]]
    assert ids_of(tracker, (A, 0.5), (near, 0.9)) == [0, 1]


def test_one_seen_once_and_gone_takes_no_id() -> None:
    tracker = seen_twice(A)
    ids_of(tracker, (A, 0.9), (B, 0.9))
    ids_of(tracker, (A, 0.9))
    for expected in (0, 2):
        assert ids_of(tracker, (A, 0.9), (B, 0.9)) == [1, expected]


@pytest.mark.parametrize(
    ("frame_rate", "gap", "found"),
    [(30, 30, 1), (30, 31, 0), (10, 30, 1), (60, 60, 1), (60, 61, 0)],
)
def test_a_lost_track_is_kept_for_the_buffer(frame_rate: float, gap: int, found: int) -> None:
    tracker = Tracker(TrackerSettings(frame_rate=frame_rate))
    ids_of(tracker, (A, 0.9))
    for _ in range(gap):
        ids_of(tracker)
    assert ids_of(tracker, (A, 0.9)) == [found]


@pytest.mark.parametrize(("duplicate", "tracks"), [(0.85, 1), (1.0, 2)])
def test_of_two_tracks_on_one_person_the_longer_lives(duplicate: float, tracks: int) -> None:
    tracker = Tracker(TrackerSettings(duplicate=duplicate))
    for _ in range(40):
        ids_of(tracker, (A, 0.9))
    # 1 is lost; somebody strolls in from the side and stops where 1 was.
    for shift in (*range(63, 0, -3), 0, 0):
        ids = ids_of(tracker, ([A[0] + shift, A[1], A[2] + shift, A[3]], 0.9))
    assert (len(tracker.snapshot()) - len(Tracker().snapshot())) // len(one_track()) == tracks
    assert ids == [1] or tracks == 2


def one_track() -> bytes:
    tracker = Tracker()
    empty = len(tracker.snapshot())
    ids_of(tracker, (A, 0.9))
    return tracker.snapshot()[empty:]


def test_memory_does_not_grow_with_the_number_of_people() -> None:
    tracker = Tracker()
    for frame in range(400):
        x = 100.0 * frame
        tracker.update([[x, 0, x + 40, 90]], [0.9])
    assert len(tracker.snapshot()) < 40 * len(one_track())


def test_smoothed_boxes_stand_in_for_claimed_detections_only() -> None:
    tracker = seen_twice(A)
    boxes = [B, [A[0] + 8, A[1], A[2] + 8, A[3]]]
    ids = tracker.update(boxes, [0.9, 0.9])
    smoothed = tracker.smoothed(boxes, ids)
    assert smoothed[0].tolist() == B
    assert A[0] < smoothed[1, 0] < A[0] + 8


@pytest.mark.parametrize(
    "state", [b"", b"nonsense of some length, longer than any header", Tracker().snapshot()[:-1]]
)
def test_what_is_no_snapshot_is_refused(state: bytes) -> None:
    with pytest.raises(MessageError):
        Tracker().restore(state)


def test_a_snapshot_of_another_version_or_cut_short_is_refused() -> None:
    state = seen_twice(A).snapshot()
    with pytest.raises(MessageError, match="version 7"):
        Tracker().restore(state[:4] + b"\x07\x00" + state[6:])
    with pytest.raises(MessageError, match="1 tracks"):
        Tracker().restore(state[:-8])


def test_one_score_for_each_box() -> None:
    with pytest.raises(InputError, match="1 boxes but 2 scores"):
        Tracker().update([A], [0.9, 0.9])


@pytest.mark.parametrize(
    "wrong",
    [
        {"high": 1.5},
        {"low": -0.1},
        {"low": 0.7},
        {"second_match": math.nan},
        {"buffer": -1},
        {"frame_rate": 0},
        {"frame_rate": math.inf},
    ],
)
def test_settings_outside_what_they_may_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        TrackerSettings(**wrong)  # type: ignore[arg-type]
