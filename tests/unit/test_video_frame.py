"""Frames: colour, scaling and warping straight from the planes."""

from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contanos.video.frame import Frame, Matrix, yuv_to_bgr

SIZE = (320, 180)


def smooth_picture(width: int, height: int) -> npt.NDArray[np.uint8]:
    """A colourful picture without fine colour detail: BGR, uint8 [height, width, 3]."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    waves = [np.sin(6 * x + 4 * y), np.cos(5 * x - 3 * y), np.sin(4 * y + 1) * np.cos(4 * x)]
    return np.stack([128 + 70 * wave for wave in waves], axis=2).astype(np.uint8)


def frame_of(bgr: npt.NDArray[np.uint8], matrix: Matrix) -> Frame:
    """The frame whose planes stand for `bgr`: the matrix inverted, chroma averaged over 2 x 2."""
    m = yuv_to_bgr(matrix).astype(np.float64)
    yuv = (bgr - m[:, 3]) @ np.linalg.inv(m[:, :3]).T
    height, width = bgr.shape[:2]
    half = ((width + 1) // 2, (height + 1) // 2)
    y, u, v = (np.ascontiguousarray(yuv[..., i]) for i in range(3))
    u, v = (cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in (u, v))
    y, u, v = (np.clip(np.rint(each), 0, 255).astype(np.uint8) for each in (y, u, v))
    return Frame(0, 0, Fraction(1, 25), y, u, v, matrix)


@pytest.mark.parametrize("matrix", Matrix)
@pytest.mark.parametrize("size", [SIZE, (319, 179)])
def test_bgr_gives_the_picture_back(matrix: Matrix, size: tuple[int, int]) -> None:
    bgr = smooth_picture(*size)
    error = np.abs(frame_of(bgr, matrix).bgr().astype(int) - bgr)
    assert error.mean() < 1.5
    assert error.max() <= 10


@pytest.mark.parametrize(
    ("matrix", "conversion"),
    [(Matrix.BT601, cv2.COLOR_YUV2BGR_I420)],
)
def test_bt601_agrees_with_opencv(matrix: Matrix, conversion: int) -> None:
    frame = frame_of(smooth_picture(*SIZE), matrix)
    packed = np.concatenate([plane.ravel() for plane in (frame.y, frame.u, frame.v)])
    expected = cv2.cvtColor(packed.reshape(-1, SIZE[0]), conversion)
    assert np.abs(frame.bgr().astype(int) - expected).mean() < 1.5


def test_black_white_and_primaries_are_exact() -> None:
    # 8-bit BT.709 code values of black, white, blue, green and red: ITU-R BT.709-6, item 3
    codes = {(16, 128, 128): (0, 0, 0), (235, 128, 128): (255, 255, 255)}
    codes |= {(32, 240, 118): (255, 0, 0), (173, 42, 26): (0, 255, 0), (63, 102, 240): (0, 0, 255)}
    for (y, u, v), bgr in codes.items():
        luma, cb, cr = (np.full((1, 1), code, np.uint8) for code in (y, u, v))
        seen = Frame(0, 0, Fraction(1), luma, cb, cr, Matrix.BT709).bgr()
        assert np.abs(seen.astype(int) - bgr).max() <= 2


@pytest.mark.parametrize("target", [(208, 117), (416, 234), (99, 55)])
def test_resize_agrees_with_resizing_the_full_picture(target: tuple[int, int]) -> None:
    frame = frame_of(smooth_picture(*SIZE), Matrix.BT709)
    error = np.abs(frame.resize(target).astype(int) - cv2.resize(frame.bgr(), target))
    assert frame.resize(target).shape == (target[1], target[0], 3)
    assert error.mean() < 1.0
    assert error.max() <= 8


@given(
    scale=st.floats(0.2, 3.0),
    turn=st.floats(-3.2, 3.2),
    shift=st.tuples(st.floats(-30, 60), st.floats(-30, 60)),
    size=st.sampled_from([(96, 128), (97, 129)]),
)
def test_warp_agrees_with_warping_the_full_picture(
    scale: float, turn: float, shift: tuple[float, float], size: tuple[int, int]
) -> None:
    frame = frame_of(smooth_picture(*SIZE), Matrix.BT709)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    affine = np.array([[c, -s, shift[0] + 40], [s, c, shift[1] + 40]])
    expected = cv2.warpAffine(frame.bgr(), affine, size)
    inside = cv2.warpAffine(np.ones((SIZE[1], SIZE[0]), np.uint8), affine, size)
    # chroma is smoothed across the picture's edge, so only what lies clear of it is compared
    clear = cv2.erode(inside, np.ones((9, 9), np.uint8), borderValue=1).astype(bool)
    seen = frame.warp(affine, size)
    assert seen.shape == (size[1], size[0], 3)
    if clear.any():
        assert np.abs(seen[clear].astype(int) - expected[clear]).mean() < 3.0


@pytest.mark.parametrize("times", [2.0, 2.4, 3.0, 4.3])
def test_a_shrinking_warp_skips_no_pixel(times: float) -> None:
    # cloth finer than the patch's pixels is an even grey, wherever the patch begins
    cloth = np.random.default_rng(0).choice(np.array([16, 235], np.uint8), (512, 512))
    grey = np.full((256, 256), 128, np.uint8)
    frame = Frame(0, 0, Fraction(1, 25), cloth, grey, grey, Matrix.BT709)
    seen = frame.warp(np.array([[1 / times, 0, -8.3], [0, 1 / times, -8.7]]), (96, 96))
    assert seen.astype(float).std() < 0.8 * cloth.std() / (int(times) / 1.164)


@pytest.mark.parametrize("times", [2.6, 3.7])
def test_a_shrinking_warp_keeps_places(times: float) -> None:
    bgr = smooth_picture(1280, 720)
    affine = np.array([[1 / times, 0, -20.4], [0, 1 / times, -11.2]])
    expected = cv2.warpAffine(cv2.GaussianBlur(bgr, (0, 0), 2), affine, (192, 128))
    error = np.abs(frame_of(bgr, Matrix.BT709).warp(affine, (192, 128)).astype(int) - expected)
    assert error[4:-4, 4:-4].mean() < 1.5


def test_a_shrinking_warp_at_the_edge_is_black_beyond_it() -> None:
    frame = frame_of(smooth_picture(*SIZE), Matrix.BT709)
    seen = frame.warp(np.array([[1 / 3, 0, 40.0], [0, 1 / 3, 30.0]]), (192, 128))
    assert seen[:28].max() <= 1
    assert seen[:, :38].max() <= 1
    assert seen[40:80, 50:130].min() > 5
    assert seen[94:].max() <= 1


def test_warp_is_black_outside_the_picture() -> None:
    frame = frame_of(smooth_picture(*SIZE), Matrix.BT709)
    far_away = np.array([[1.0, 0, -1000], [0, 1, -1000]])
    assert frame.warp(far_away, (32, 32)).max() <= 1


def test_the_identity_warp_is_the_picture() -> None:
    frame = frame_of(smooth_picture(*SIZE), Matrix.BT709)
    error = np.abs(frame.warp(np.eye(2, 3), SIZE).astype(int) - frame.bgr())
    assert error.mean() < 0.5
    assert error.max() <= 3
