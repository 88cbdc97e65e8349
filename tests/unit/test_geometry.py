import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contanos.geometry import Letterbox, crop_affine, crop_sizes, iou_matrix, nms

sides = st.integers(1, 5000)
coordinates = st.floats(-100, 2000, width=32)


@st.composite
def boxes(draw: st.DrawFn, least: int = 1) -> np.ndarray:
    corners = draw(st.lists(st.tuples(*[coordinates] * 4), min_size=least, max_size=12))
    array = np.array(corners, dtype=np.float64).reshape(-1, 2, 2)
    return np.concatenate([array.min(axis=1), array.max(axis=1)], axis=1)


@given(sides, sides)
def test_a_letterbox_fits_and_touches_one_side(width: int, height: int) -> None:
    fit = Letterbox.fit(width, height, 416, 416)
    assert 1 <= fit.width <= 416
    assert 1 <= fit.height <= 416
    assert max(fit.width, fit.height) >= 415


@given(boxes(), boxes())
def test_iou_is_symmetric_and_one_on_itself(first: np.ndarray, second: np.ndarray) -> None:
    overlaps = iou_matrix(first, second)
    assert ((overlaps >= 0) & (overlaps <= 1 + 1e-9)).all()
    np.testing.assert_allclose(overlaps, iou_matrix(second, first).T)
    area = (first[:, 2] - first[:, 0]) * (first[:, 3] - first[:, 1])
    np.testing.assert_allclose(np.diag(iou_matrix(first, first))[area > 1e-3], 1.0)


def test_iou_of_a_known_pair() -> None:
    first, second = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3]])
    assert iou_matrix(first, second)[0, 0] == 1 / 7


@given(boxes(), st.floats(0.1, 0.9))
def test_nms_keeps_the_best_and_nothing_that_overlaps_it(
    found: np.ndarray, threshold: float
) -> None:
    scores = np.linspace(1, 0.1, len(found))[::-1].copy()
    kept = nms(found, scores, threshold)
    assert kept[0] == scores.argmax()
    assert (np.diff(scores[kept]) <= 0).all()
    overlaps = iou_matrix(found[kept], found[kept]) - np.eye(len(kept))
    assert (overlaps <= threshold).all()
    dropped = np.setdiff1d(np.arange(len(found)), kept)
    assert (iou_matrix(found[dropped], found[kept]) > threshold).any(axis=1).all()


@given(boxes())
def test_crops_hold_their_boxes_in_the_models_shape(found: np.ndarray) -> None:
    sizes = crop_sizes(found, 192 / 256, 1.25)
    np.testing.assert_allclose(sizes[:, 0] * 256, sizes[:, 1] * 192, rtol=1e-6, atol=1e-6)
    assert (sizes >= 1.25 * (found[:, 2:] - found[:, :2]) - 1e-6).all()


def test_a_crops_centre_lands_in_the_middle_and_its_corner_in_the_corner() -> None:
    center, size = np.array([100.0, 80.0]), np.array([60.0, 80.0])
    affine = crop_affine(center, size, (192, 256))
    np.testing.assert_allclose(affine @ [100, 80, 1], [96, 128])
    np.testing.assert_allclose(affine @ [70, 40, 1], [0, 0])
