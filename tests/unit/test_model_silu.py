"""SiLU around its mean is the same function, and bf16 rounds away less of it."""

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from contanos.models.onnxruntime import OnnxRuntimeSession
from contanos.models.silu import around_means, inverse_silu

CHANNELS = 4


def network(means: np.ndarray, biases: np.ndarray, *, read_twice: bool = False) -> onnx.ModelProto:
    """A depthwise 3x3 convolution, SiLU, and the subtraction of `means`, as `centre` leaves it."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["z"], group=CHANNELS, pads=[1] * 4),
        helper.make_node("Sigmoid", ["z"], ["gate"]),
        helper.make_node("Mul", ["z", "gate"], ["silu"]),
        helper.make_node("Sub", ["silu", "silu/mean"], ["y"]),
    ]
    outputs = ["y"]
    if read_twice:
        nodes.append(helper.make_node("Relu", ["silu"], ["other"]))
        outputs.append("other")
    kernel = np.random.default_rng(3).normal(0, 0.01, (CHANNELS, 1, 3, 3))
    weights = {"w": kernel, "b": biases, "silu/mean": means.reshape(1, -1, 1, 1)}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", CHANNELS, "h", "w"])],
        [helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, None) for each in outputs],
        [numpy_helper.from_array(each.astype(np.float32), name) for name, each in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def outputs_of(model: onnx.ModelProto, x: np.ndarray, name: str) -> np.ndarray:
    """One tensor of `model`, whether or not it is an output."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    del copy.graph.output[:]
    info = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    copy.graph.output.append(info)
    return OnnxRuntimeSession(copy.SerializeToString()).run({"x": x})[0]


def pictures() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(2, CHANNELS, 6, 5)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.25, 30, width=32), min_size=CHANNELS, max_size=CHANNELS))
def test_f32_stays_the_same(means: list[float]) -> None:
    model = network(np.array(means), np.array(means) + 0.1)
    before, after = (outputs_of(each, pictures(), "y") for each in (model, around_means(model)))
    np.testing.assert_allclose(after, before, atol=2e-5)


def test_what_the_convolution_writes_is_small() -> None:
    # around 11.4 the steps of bf16 are 2 ** -4; the convolution moves by a few hundredths
    model = network(np.full(CHANNELS, 11.4), np.full(CHANNELS, 11.4))
    before, after = (outputs_of(each, pictures(), "z") for each in (model, around_means(model)))
    assert before.min() > 11
    assert np.abs(after).max() < 0.2
    assert before.std() > 0.01


def test_a_silu_that_others_read_is_left_alone() -> None:
    model = network(np.full(CHANNELS, 3.0), np.zeros(CHANNELS), read_twice=True)
    assert around_means(model) == model


def test_the_inverse_of_silu() -> None:
    x = np.array([0.0, 0.01, 0.5, 3.0, 40.0])
    np.testing.assert_allclose(inverse_silu(x / (1 + np.exp(-x))), x, atol=1e-9)
    np.testing.assert_array_equal(inverse_silu(np.array([-0.2, -3.0])), [0.0, 0.0])
