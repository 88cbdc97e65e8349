"""Overlap, and the assignment that claims detections."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from video_analysis.bytetrack.association import NOBODY, Claims, assign, iou

distances = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4),
    elements=st.floats(0, 1),
)


def test_overlap_counts_the_last_pixel() -> None:
    a = np.array([[0.0, 0, 9, 9]])
    b = np.array([[0.0, 0, 9, 9], [0, 0, 4, 9], [9, 9, 18, 18], [10, 10, 20, 20]])
    assert iou(a, b)[0] == pytest.approx([1, 0.5, 1 / 199, 0])


def test_a_box_inside_out_overlaps_nothing() -> None:
    assert iou(np.array([[50.0, 50, 10, 10]]), np.array([[0.0, 0, 99, 99]])).item() == 0


def worth(distance: NDArray[np.float64], limit: float) -> float:
    """The best total over every set of pairs, tried one by one."""
    gain = np.minimum(distance - limit, 0)
    gain = gain if gain.shape[0] <= gain.shape[1] else gain.T
    rows = range(gain.shape[0])
    choices = itertools.permutations(range(gain.shape[1]), gain.shape[0])
    return min(float(sum(gain[r, c] for r, c in zip(rows, each, strict=True))) for each in choices)


@given(distances, st.floats(0.01, 1))
def test_assignment_is_the_best_of_all(distance: NDArray[np.float64], limit: float) -> None:
    rows, columns = assign(distance, limit)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert (distance[rows, columns] < limit).all()
    total = float((distance[rows, columns] - limit).sum())
    assert total == pytest.approx(worth(distance, limit), abs=1e-9)


def test_two_good_pairs_are_not_given_up_for_the_best_one() -> None:
    rows, columns = assign(np.array([[0.0, 0.3], [0.3, 0.95]]), 0.9)
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 0)]


def test_a_claim_is_never_taken_back() -> None:
    claims = Claims.none_yet(2, 2)
    everyone = np.ones(2, bool)
    claims.add(np.array([[0.2, 0.0], [0.0, 0.0]]), everyone, everyone, 0.9)
    claims.add(np.array([[0.0, 0.9], [0.9, 0.5]]), everyone, everyone, 0.9)
    assert claims.detection_of.tolist() == [0, 1]
    assert claims.track_of.tolist() == [0, 1]


def test_only_those_named_take_part() -> None:
    claims = Claims.none_yet(2, 1)
    claims.add(np.array([[0.9], [0.4]]), np.array([False, True]), np.ones(1, bool), 0.9)
    assert claims.detection_of.tolist() == [NOBODY, 0]
