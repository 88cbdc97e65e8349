"""What is hidden is gone, what is not is untouched, and what cannot be understood is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contanos.errors import MessageError
from contanos.visualizer import Canvas, hidden_regions, hide_regions
from contanos.visualizer.hide import BLOCKS, FEATHER

Box = tuple[float, float, float, float]


def noise(width: int = 320, height: int = 240, seed: int = 0) -> Canvas:
    random = np.random.default_rng(seed)
    half = (-(-height // 2), -(-width // 2))
    y, u, v = (random.integers(16, 236, s, np.uint8) for s in ((height, width), half, half))
    return Canvas(y, u, v, width, height, 0.299, 0.114)


def radius(shape: tuple[int, ...], box: Box, scale: float = 1) -> np.ndarray:
    """Distance of each pixel's centre in radii of the ellipse inscribed in `box`."""
    x1, y1, x2, y2 = box
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    across = (columns * scale - (x1 + x2) / 2) / ((x2 - x1) / 2)
    return np.hypot(across, (rows * scale - (y1 + y2) / 2) / ((y2 - y1) / 2))


def detail(plane: np.ndarray, inside: np.ndarray) -> float:
    down, across = np.gradient(plane.astype(float))
    return float((down**2 + across**2)[inside].mean())


FACE = (100.0, 60.0, 180.0, 164.0)


def test_no_detail_is_left_inside_in_luma_and_chroma() -> None:
    before, after = noise(), noise()
    hide_regions(after, [FACE])
    for old, new, scale in (
        (before.y, after.y, 1),
        (before.u, after.u, 2),
        (before.v, after.v, 2),
    ):
        inside = radius(old.shape, FACE, scale) < 0.97
        assert detail(new, inside) < 0.001 * detail(old, inside)


def test_nothing_changes_outside() -> None:
    before, after = noise(), noise()
    hide_regions(after, [FACE])
    beyond = radius(before.y.shape, FACE) > FEATHER + 0.05
    assert (before.y == after.y)[beyond].all()
    beyond = radius(before.u.shape, FACE, 2) > FEATHER + 0.1
    assert (before.u == after.u)[beyond].all()
    assert (before.v == after.v)[beyond].all()


def test_pictures_that_differ_only_inside_become_nearly_the_same() -> None:
    """All that the two may still differ in is a few averages: noise has nearly the same ones."""
    one, other = noise(), noise()
    inside = radius(one.y.shape, FACE) < 1
    shuffled = np.random.default_rng(1).permutation(one.y[inside])
    other.y[inside] = shuffled
    assert np.abs(one.y.astype(int) - other.y).max() > 200
    hide_regions(one, [FACE])
    hide_regions(other, [FACE])
    assert np.abs(one.y.astype(int) - other.y)[inside].max() <= 12
    assert len(np.unique(one.y[inside])) <= 40


def test_one_pixel_of_a_face_is_not_kept() -> None:
    """Its share of an average is too small to be seen in eight bits."""
    one, other = noise(), noise()
    other.y[112, 140] ^= 7
    hide_regions(one, [FACE])
    hide_regions(other, [FACE])
    assert (one.y == other.y).all()


def test_it_is_deterministic_and_takes_regions_one_after_the_other() -> None:
    one, other = noise(), noise()
    hide_regions(one, [FACE, (0.0, 0.0, 50.0, 50.0)])
    hide_regions(other, [FACE])
    hide_regions(other, [(0.0, 0.0, 50.0, 50.0)])
    for a, b in ((one.y, other.y), (one.u, other.u), (one.v, other.v)):
        assert (a == b).all()


side = st.floats(-1e12, 1e12) | st.floats(-50, 150)


@settings(max_examples=200, deadline=None)
@given(side, side, side, side, st.integers(1, 99), st.integers(1, 99))
def test_any_region_is_hidden_in_any_picture_and_no_more_than_it(
    a: float, b: float, c: float, d: float, width: int, height: int
) -> None:
    region = (min(a, c), min(b, d), max(a, c), max(b, d))
    before, after = noise(width, height), noise(width, height)
    hide_regions(after, [region])
    rows, columns = np.mgrid[:height, :width] + 0.5
    (x, y), (across, down) = middle_and_radii(region)
    changed = before.y != after.y
    near = (np.abs(columns - x) < FEATHER * across + 4) & (np.abs(rows - y) < FEATHER * down + 4)
    assert not changed[~near].any()
    inside = ((columns - x) / max(across, 1e-9)) ** 2 + ((rows - y) / max(down, 1e-9)) ** 2 < 1
    if inside.sum() > 200:
        assert changed[inside].mean() > 0.9


def middle_and_radii(region: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    x1, y1, x2, y2 = region
    return ((x1 + x2) / 2, (y1 + y2) / 2), ((x2 - x1) / 2, (y2 - y1) / 2)


def test_a_region_larger_than_the_picture_leaves_so_few_samples_of_it() -> None:
    after = noise(64, 64)
    hide_regions(after, [(-100.0, -100.0, 164.0, 164.0)])
    flat = after.y.reshape(BLOCKS, 16, BLOCKS, 16).mean((1, 3))
    assert np.ptp(after.y) < 30
    assert np.abs(np.kron(flat, np.ones((16, 16))) - after.y).max() < 15


def test_padding_of_the_planes_is_hidden_too() -> None:
    """An encoder shows the column that makes an odd width even."""
    noisy = noise(64, 64)
    padded = Canvas(noisy.y, noisy.u, noisy.v, 63, 63, 0.299, 0.114)
    before = noisy.y.copy()
    hide_regions(padded, [(40.0, 0.0, 86.0, 63.0)])
    assert (before[20:44, 63] != padded.y[20:44, 63]).mean() > 0.9


def test_what_a_record_names() -> None:
    assert not hidden_regions({})
    assert not hidden_regions({"hide": [], "other": 1})
    assert hidden_regions({"hide": [[1, 2, 3.5, 4]]}) == [(1.0, 2.0, 3.5, 4.0)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "all",
        7,
        {"bbox": [1, 2, 3, 4]},
        [1, 2, 3, 4],
        [[1, 2, 3]],
        [[1, 2, 3, "4"]],
        [[1, 2, float("nan"), 4]],
        [[1, 2, float("inf"), 4]],
        [[3, 2, 1, 4]],
    ],
)
def test_what_nobody_can_understand_is_refused(value: object) -> None:
    with pytest.raises(MessageError, match="hide"):
        hidden_regions({"hide": value})
