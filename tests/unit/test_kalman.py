"""The elementwise filter against the textbook's matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from video_analysis.bytetrack import kalman

Matrix = NDArray[np.float64]

coordinate = st.floats(-500, 2000)
size = st.floats(2, 900)
boxes = st.tuples(coordinate, coordinate, size, size).map(
    lambda b: np.array([[b[0], b[1], b[0] + b[2], b[1] + b[3]]])
)


class Textbook:
    """One track, 8 dimensions, full covariance, as DeepSORT's section 2.1 states it."""

    def __init__(self, box: Matrix) -> None:
        self.mean = np.concatenate((kalman.measured(box)[0], np.zeros(4)))
        height = self.mean[3]
        p, v = height / 20, height / 160
        first = [2 * p, 2 * p, 1e-2, 2 * p, 10 * v, 10 * v, 1e-5, 10 * v]
        self.covariance = np.diag(np.square(first))

    def predict(self, frame_time: float) -> None:
        p, v = self.mean[3] / 20, self.mean[3] / 160
        noise = np.square([p, p, 1e-2, p, v, v, 1e-5, v])
        noise[4:] *= frame_time
        step = np.eye(8) + np.eye(8, k=4)
        self.mean = step @ self.mean
        self.covariance = step @ self.covariance @ step.T + np.diag(noise)

    def correct(self, box: Matrix) -> None:
        p = self.mean[3] / 20
        measure = np.eye(4, 8)
        total = measure @ self.covariance @ measure.T + np.diag(np.square([p, p, 1e-1, p]))
        gain = np.linalg.solve(total, measure @ self.covariance).T
        self.mean = self.mean + gain @ (kalman.measured(box)[0] - measure @ self.mean)
        self.covariance = self.covariance - gain @ total @ gain.T


def dense(motion: Matrix) -> tuple[Matrix, Matrix]:
    """The mean and the 8x8 covariance of one track's motion."""
    covariance = np.diag(np.concatenate((motion[2], motion[4])))
    covariance += np.diag(motion[3], k=4) + np.diag(motion[3], k=-4)
    return motion[:2].ravel(), covariance


@given(st.lists(boxes, min_size=1, max_size=8), st.floats(0.25, 30), st.data())
def test_the_same_as_the_textbook_with_gaps(
    seen: list[Matrix], frame_time: float, data: st.DataObject
) -> None:
    motion, textbook = kalman.initiate(seen[0]), Textbook(seen[0])
    for box in seen[1:]:
        motion = kalman.predict(motion, frame_time)
        textbook.predict(frame_time)
        if data.draw(st.booleans()) and motion[0, 0, 3] > 1:
            motion = kalman.correct(motion, box)
            textbook.correct(box)
    mean, covariance = dense(motion[0])
    np.testing.assert_allclose(mean, textbook.mean, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(covariance, textbook.covariance, rtol=1e-6, atol=1e-7)


def test_rows_do_not_disturb_one_another() -> None:
    seen = np.array([[0.0, 0, 40, 100], [300, 50, 380, 250]])
    later = seen + np.array([5.0, 1, 5, 1])
    both = kalman.correct(kalman.predict(kalman.initiate(seen)), later)
    alone = [
        kalman.correct(kalman.predict(kalman.initiate(seen[i : i + 1])), later[i : i + 1])
        for i in range(2)
    ]
    np.testing.assert_array_equal(both, np.concatenate(alone))


@given(boxes)
def test_a_new_track_is_where_it_was_seen(box: Matrix) -> None:
    np.testing.assert_allclose(kalman.boxes_of(kalman.initiate(box)), box, rtol=1e-9, atol=1e-6)


def test_learns_a_steady_walk() -> None:
    start, pace = np.array([[100.0, 100, 140, 220]]), np.array([6.0, -2, 6, -2])
    motion = kalman.initiate(start)
    for frame in range(1, 60):
        motion = kalman.correct(kalman.predict(motion), start + frame * pace)
    assert motion[0, kalman.VELOCITY, :2] == pytest.approx([6, -2], abs=0.01)
    ahead = kalman.boxes_of(kalman.predict(motion))
    np.testing.assert_allclose(ahead, start + 60 * pace, atol=0.1)


def test_no_tracks() -> None:
    none = kalman.initiate(np.zeros((0, 4)))
    assert kalman.correct(kalman.predict(none), np.zeros((0, 4))).shape == (0, 5, 4)
    assert kalman.boxes_of(none).shape == (0, 4)
