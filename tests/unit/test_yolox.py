import numpy as np
import pytest

from video_analysis.yolox.decode import decode_grid, decode_nms


def empty_grid(width: int, height: int, classes: int = 1) -> np.ndarray:
    cells = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
    return np.zeros((1, cells, 5 + classes), np.float32)


@pytest.mark.parametrize("size", [(416, 416), (416, 256), (320, 416)])
@pytest.mark.parametrize(("stride", "column", "row"), [(8, 3, 5), (16, 7, 2), (32, 4, 6)])
def test_a_cell_becomes_its_box(size: tuple[int, int], stride: int, column: int, row: int) -> None:
    width, height = size
    raw = empty_grid(width, height)
    before = {8: 0, 16: 1, 32: 2}[stride]
    offset = sum((width // s) * (height // s) for s in (8, 16, 32)[:before])
    cell = offset + row * (width // stride) + column
    raw[0, cell] = [0.25, 0.5, np.log(2.0), np.log(3.0), 0.8, 0.5]
    (box,) = decode_grid(raw, width, height, 0.1)
    x, y = (column + 0.25) * stride, (row + 0.5) * stride
    expected = [x - stride, y - 1.5 * stride, x + stride, y + 1.5 * stride, 0.4]
    np.testing.assert_allclose(box, expected, rtol=1e-5)


def test_the_score_is_of_the_person_and_not_of_another_class() -> None:
    raw = empty_grid(64, 64, classes=80)
    raw[0, 0, 4], raw[0, 0, 5 + 15] = 1.0, 0.9
    assert len(decode_grid(raw, 64, 64, 0.1)) == 0


def test_of_two_overlapping_cells_the_better_stays() -> None:
    raw = empty_grid(64, 64)
    raw[0, 0] = [0.5, 0.5, 1, 1, 0.9, 1.0]
    raw[0, 1] = [-0.4, 0.5, 1, 1, 0.8, 1.0]
    boxes = decode_grid(raw, 64, 64, 0.1)
    assert boxes[:, 4] == pytest.approx([0.9])


def test_an_exports_own_suppression_is_filtered_and_sorted() -> None:
    dets = np.array([[[0, 0, 1, 1, 0.3], [0, 0, 2, 2, 0.9], [0, 0, 3, 3, 0.05], [0, 0, 4, 4, 0.8]]])
    labels = np.array([[0, 0, 0, 2]])
    assert decode_nms(dets, labels, 0.1)[:, 4] == pytest.approx([0.9, 0.3])
    assert decode_nms(dets[:, :0], labels[:, :0], 0.1).shape == (0, 5)
