"""The detector cut back to its raw grid gives what the export with its NMS inside gives."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from contanos.errors import ModelError
from contanos.models.graph import raw_head
from contanos.models.onnxruntime import OnnxRuntimeSession

STRIDES = (8, 16, 32)


@pytest.fixture(scope="module")
def original(yolox_tiny: Path) -> onnx.ModelProto:
    """The export as published."""
    return onnx.load(yolox_tiny)


@pytest.fixture(scope="module")
def raw(original: onnx.ModelProto) -> OnnxRuntimeSession:
    """The export cut back to its grid, ready to run."""
    return OnnxRuntimeSession(raw_head(original).SerializeToString())


def picture(height: int, width: int, batch: int = 1) -> np.ndarray:
    """Smooth blobs, BGR 0 to 255, [N, 3, H, W]: noise would light no cell up."""
    coarse = np.random.default_rng(5).random((batch, 3, height // 32, width // 32))
    return (255 * coarse.repeat(32, axis=2).repeat(32, axis=3)).astype(np.float32)


def eager(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with the score threshold of its NMS at zero: blobs are no people."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (nms,) = [node for node in copy.graph.node if node.op_type == "NonMaxSuppression"]
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "no_threshold")
    copy.graph.initializer.append(zero)
    nms.input[4] = zero.name
    return copy


def boxes_of(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """xyxy and score of every cell [A, 6], by the definition in `raw_head`."""
    rows = []
    for stride in STRIDES:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        rows.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1))
    x, y, stride = np.concatenate(rows).T
    cx, cy = (cells[:, 0] + x) * stride, (cells[:, 1] + y) * stride
    w, h = np.exp(cells[:, 2]) * stride, np.exp(cells[:, 3]) * stride
    edges = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, cells[:, 4] * cells[:, 5]]
    return np.stack(edges, axis=1)


def test_every_box_of_the_export_is_a_cell_of_the_grid(
    original: onnx.ModelProto, raw: OnnxRuntimeSession
) -> None:
    image = picture(416, 416)
    published = OnnxRuntimeSession(eager(original).SerializeToString())
    detections, labels = published.run({"input": image})
    people = detections[0][(labels[0] == 0) & (detections[0][:, 4] > 0)]
    cells = boxes_of(raw.run({"input": image})[0][0], 416, 416)
    assert len(people) > 5
    for person in people:
        assert (np.abs(cells - person) / [1, 1, 1, 1, person[4]]).max(axis=1).min() < 5e-3
    np.testing.assert_allclose(people[:, 4].max(), cells[:, 4].max(), rtol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(256, 416), (416, 320), (32, 64)])
def test_any_multiple_of_32_runs(raw: OnnxRuntimeSession, height: int, width: int) -> None:
    (cells,) = raw.run({"input": picture(height, width)})
    assert cells.shape == (1, sum(height // s * (width // s) for s in STRIDES), 6)


def test_a_picture_scores_alike_alone_and_in_a_batch(raw: OnnxRuntimeSession) -> None:
    images = picture(256, 416, batch=3)
    together = raw.run({"input": images})[0]
    alone = [raw.run({"input": images[k : k + 1]})[0][0] for k in range(3)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_classes_come_in_the_order_asked_for(
    original: onnx.ModelProto, raw: OnnxRuntimeSession
) -> None:
    image = picture(128, 128)
    session = OnnxRuntimeSession(raw_head(original, classes=(5, 0)).SerializeToString())
    both = session.run({"input": image})[0][0]
    person = raw.run({"input": image})[0][0]
    np.testing.assert_allclose(both[:, [0, 1, 2, 3, 4, 6]], person, rtol=1e-4, atol=1e-5)
    assert np.abs(both[:, 5] - both[:, 6]).max() > 1e-3


def test_a_class_that_the_model_lacks_is_refused(original: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match="class 80 asked of a model that has 80"):
        raw_head(original, classes=(80,))


def test_another_graph_is_refused() -> None:
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    with pytest.raises(ModelError, match="not a YOLOX export"):
        raw_head(helper.make_model(graph))
