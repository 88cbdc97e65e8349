"""Trails: what they keep, and that a restored one goes on as if nothing had happened."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contanos.messages import Detection
from contanos.visualizer import Canvas, Trails, draw_detections
from contanos.visualizer.ribbon import thinning

frames = st.lists(st.dictionaries(st.integers(1, 5), st.floats(-1e6, 1e6)), max_size=12)


def people(scene: dict[int, float]) -> list[Detection]:
    return [
        Detection(bbox=(x, 0.1, x + 1 / 3, 50.7), score=0.9, track_id=track_id)
        for track_id, x in scene.items()
    ]


@given(frames, st.integers(0, 12), st.integers(1, 5))
def test_a_restored_trail_is_the_same_to_the_last_bit(
    scenes: list[dict[int, float]], cut: int, length: int
) -> None:
    undisturbed, first, second = Trails(length), Trails(length), Trails(length)
    for scene in scenes[:cut]:
        first.update(people(scene))
    second.restore(first.snapshot())
    for scene in scenes[cut:]:
        second.update(people(scene))
    for scene in scenes:
        undisturbed.update(people(scene))
    assert second.snapshot() == undisturbed.snapshot()
    for a, b in zip(second.trails(), undisturbed.trails(), strict=True):
        assert a.track_id == b.track_id
        np.testing.assert_array_equal(a.points, b.points)
        np.testing.assert_array_equal(a.freshness, b.freshness)


def test_points_are_the_middle_of_the_lower_side_and_fade() -> None:
    trails = Trails(4)
    for x in range(6):
        trails.update([Detection(bbox=(x, 0, x + 10, 20), score=1, track_id=9)])
    (trail,) = trails.trails()
    assert trail.points.tolist() == [[7, 20], [8, 20], [9, 20], [10, 20]]
    assert trail.freshness.tolist() == [0.25, 0.5, 0.75, 1]


def test_who_left_is_forgotten() -> None:
    trails = Trails(3)
    empty = len(trails.snapshot())
    for track_id in range(1, 500):
        trails.update([Detection(bbox=(0, 0, 1, 1), score=1, track_id=track_id)])
        assert len(trails.trails()) <= 3
    for _ in range(3):
        trails.update([])
    assert trails.trails() == []
    assert len(trails.snapshot()) <= empty + 2


def test_untracked_people_and_length_zero_leave_none() -> None:
    trails, none = Trails(3), Trails(0)
    trails.update([Detection(bbox=(0, 0, 1, 1), score=1)])
    none.update([Detection(bbox=(0, 0, 1, 1), score=1, track_id=1)])
    assert trails.trails() == none.trails() == []


def test_the_newest_end_is_the_most_opaque() -> None:
    y, u, v = (np.full(shape, 128, np.uint8) for shape in ((120, 400), (60, 200), (60, 200)))
    trails = Trails(30)
    for x in range(30):
        trails.update([Detection(bbox=(10 * x, 0, 10 * x + 20, 60), score=1, track_id=3)])
    draw_detections(Canvas(y, u, v, 400, 120, 0.299, 0.114), [], None, trails)
    strength = np.abs(y.astype(int) - 128).max(0)
    assert strength[40] < strength[150] < strength[280]
    assert not strength[330:].any()


@pytest.mark.parametrize("count", [2, 3, 14, 15, 16, 200])
def test_thinning_keeps_the_ends_and_straight_lines(count: int) -> None:
    chosen, weights = thinning(count)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    np.testing.assert_allclose(weights.sum(1), 1)
    middle = (chosen >= 3) & (chosen < count - 3)
    np.testing.assert_allclose((weights @ np.arange(count))[middle], chosen[middle])
