"""Centring changes nothing in f32, and leaves little for bf16 to round away."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from contanos.errors import ModelError
from contanos.models.centre import centre
from contanos.models.onnxruntime import OnnxRuntimeSession

CHANNELS = 6


def network(kernel: np.ndarray, bias: np.ndarray, readers: int = 1) -> onnx.ModelProto:
    """`readers` convolutions, alike, over the input `x`; outputs y0, y1 and so on."""
    shape = ["n", kernel.shape[1], "h", "w"]
    pad = kernel.shape[2] // 2
    nodes = [
        helper.make_node("Conv", ["x", f"w{k}", f"b{k}"], [f"y{k}"], pads=[pad] * 4)
        for k in range(readers)
    ]
    weights = [
        numpy_helper.from_array(values.astype(np.float32), f"{name}{k}")
        for k in range(readers)
        for name, values in (("w", kernel), ("b", bias))
    ]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    ys = [
        helper.make_tensor_value_info(f"y{k}", onnx.TensorProto.FLOAT, None) for k in range(readers)
    ]
    graph = helper.make_graph(nodes, "g", [x], ys, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    return OnnxRuntimeSession(model.SerializeToString()).run({"x": x.astype(np.float32)})


def bf16(values: np.ndarray) -> np.ndarray:
    """Rounded to 8 bits of mantissa, to nearest, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def in_bf16(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 1x1 convolution of rounded inputs and weights, summed in double precision."""
    products: np.ndarray = np.einsum(
        "oc,nchw->nohw", bf16(kernel[:, :, 0, 0]).astype(float), bf16(x)
    )
    return np.asarray(products + bias.reshape(1, -1, 1, 1))


@settings(max_examples=25, deadline=None)
@given(
    means=st.lists(st.floats(-20, 20, width=32), min_size=CHANNELS, max_size=CHANNELS),
    readers=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_f32_stays_the_same(means: list[float], readers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = network(rng.normal(size=(4, CHANNELS, 1, 1)), rng.normal(size=4), readers)
    x = rng.normal(size=(2, CHANNELS, 3, 5)) + 5
    moved = centre(model, {"x": means})
    assert sum(node.op_type == "Sub" for node in moved.graph.node) == 1
    for before, after in zip(run(model, x), run(moved, x), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-4)


def test_bf16_loses_far_less_of_a_channel_far_from_zero() -> None:
    rng = np.random.default_rng(2)
    kernel, bias = rng.normal(0, 15, (8, CHANNELS, 1, 1)), rng.normal(size=8)
    x = (11.4 + 0.03 * rng.normal(size=(4, CHANNELS, 8, 8))).astype(np.float32)
    model = network(kernel, bias)
    (exact,) = run(model, x)
    means = x.mean(axis=(0, 2, 3))
    moved = {
        each.name: numpy_helper.to_array(each)
        for each in centre(model, {"x": means.tolist()}).graph.initializer
    }
    plain = np.abs(in_bf16(x, kernel, bias) - exact).max()
    shifted = x - moved["x/mean"]
    centred = np.abs(in_bf16(shifted, moved["w0"], moved["b0"]) - exact).max()
    assert centred < plain / 20


def test_larger_kernels_are_left_alone() -> None:
    model = network(np.ones((2, CHANNELS, 3, 3)), np.zeros(2))
    assert centre(model, {"x": [1.0] * CHANNELS}) == model


def test_means_of_another_model_are_refused() -> None:
    model = network(np.ones((2, CHANNELS, 1, 1)), np.zeros(2))
    with pytest.raises(ModelError, match="3 means for the 6 channels of x"):
        centre(model, {"x": [1.0, 2.0, 3.0]})
