import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contanos.geometry import crop_affine
from video_analysis.rtmpose.simcc import decode_simcc, to_source


def bump(bins: int, at: float, height: float, width: float = 4.0) -> np.ndarray:
    return height * np.exp(-(((np.arange(bins) - at) / width) ** 2))


@given(st.floats(3, 188), st.floats(3, 252), st.floats(0.1, 1), st.floats(0.1, 1))
def test_a_peak_is_found_finer_than_a_bin(
    x: float, y: float, height_x: float, height_y: float
) -> None:
    simcc_x = bump(384, 2 * x, height_x)[None, None]
    simcc_y = bump(512, 2 * y, height_y)[None, None]
    points, scores = decode_simcc(simcc_x, simcc_y)
    np.testing.assert_allclose(points[0, 0], [x, y], atol=0.02)
    assert abs(scores[0, 0] - (height_x + height_y) / 2) < 0.02


def test_a_peak_at_the_edge_stays_there() -> None:
    edge = np.zeros((1, 2, 384))
    edge[0, 0, 0] = edge[0, 1, -1] = 2.0
    points, scores = decode_simcc(edge, edge)
    np.testing.assert_array_equal(points[0], [[0, 0], [191.5, 191.5]])
    np.testing.assert_array_equal(scores, [[1.0, 1.0]])


def test_a_flat_vector_gives_a_finite_answer() -> None:
    points, scores = decode_simcc(np.zeros((1, 1, 384)), np.zeros((1, 1, 512)))
    assert np.isfinite(points).all()
    assert scores[0, 0] == 0


def test_crops_points_go_back_where_they_came_from() -> None:
    rng = np.random.default_rng(0)
    center, size = rng.uniform(0, 500, (3, 2)), rng.uniform(20, 300, (3, 2))
    source = rng.uniform(0, 500, (3, 5, 2))
    inside = np.empty_like(source)
    for i in range(3):
        affine = crop_affine(center[i], size[i], (192, 256))
        inside[i] = source[i] @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(to_source(inside, center, size, (192, 256)), source)
