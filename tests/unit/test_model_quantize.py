"""8-bit graphs: close to the float ones, and in 8 bits where they should be."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from contanos.errors import ModelError
from contanos.models.observe import observe
from contanos.models.onnxruntime import OnnxRuntimeSession
from contanos.models.quantize import Recipe, quantize

BOTH = [Recipe(), Recipe(weight_bits=7, outputs=True)]


def network(seed: int = 0) -> onnx.ModelProto:
    """Five convolutions in a row, x to c4, each but the last with SiLU; c1 is depthwise."""
    rng = np.random.default_rng(seed)
    nodes, weights, x = [], [], "x"
    for k in range(5):
        group = 8 if k == 1 else 1
        kernel = rng.normal(0, 0.25, (8, (3 if k == 0 else 8) // group, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{k}"))
        weights.append(numpy_helper.from_array(rng.normal(size=8).astype(np.float32), f"b{k}"))
        inputs, pads = [x, f"w{k}", f"b{k}"], [1, 1, 1, 1]
        nodes.append(helper.make_node("Conv", inputs, [f"c{k}"], pads=pads, group=group))
        if k < 4:
            nodes.append(helper.make_node("Sigmoid", [f"c{k}"], [f"g{k}"]))
            nodes.append(helper.make_node("Mul", [f"c{k}", f"g{k}"], [f"s{k}"]))
        x = f"s{k}"
    x_in = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])
    out = helper.make_tensor_value_info("c4", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x_in], [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return OnnxRuntimeSession(model.SerializeToString()).run({"x": x})[0]


def batch(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, 3, 16, 16)).astype(np.float32)


def in_integers(model: onnx.ModelProto) -> set[str]:
    """Outputs of the convolutions whose weights are integers."""
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    return {node.output[0] for node in convs if node.input[1].endswith("/real")}


@pytest.mark.parametrize("recipe", BOTH)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_outputs_stay_within_a_few_percent(recipe: Recipe, seed: int) -> None:
    model = network(seed)
    ranges = observe(model, [batch(seed), batch(seed + 1)]).ranges
    exact, rounded = run(model, batch(seed)), run(quantize(model, ranges, recipe), batch(seed))
    assert 0 < np.abs(rounded - exact).mean() < 0.03 * np.abs(exact).max()


def test_first_last_depthwise_and_kept_stay_in_float() -> None:
    model = network()
    ranges = observe(model, [batch(0)]).ranges
    assert in_integers(quantize(model, ranges, Recipe())) == {"c2", "c3"}
    assert in_integers(quantize(model, ranges, Recipe(keep=frozenset({"c3"})))) == {"c2"}


def test_weights_keep_to_their_bits() -> None:
    model = network()
    made = quantize(model, observe(model, [batch(0)]).ranges, Recipe(weight_bits=7, outputs=True))
    integers = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    for k in (2, 3):
        assert np.abs(integers[f"w{k}/integers"]).max() == 63
        assert integers[f"b{k}/integers"].dtype == np.int32


def test_the_same_inputs_make_the_same_bytes() -> None:
    model, ranges = network(), observe(network(), [batch(0)]).ranges
    first, second = (quantize(model, ranges, BOTH[1]).SerializeToString() for _ in range(2))
    assert first == second


def test_a_tensor_without_a_range_is_refused() -> None:
    with pytest.raises(ModelError, match="no range for 's1'"):
        quantize(network(), {"x": (0, 1)}, Recipe())


def test_observed_ranges_and_means_are_those_of_the_input() -> None:
    batches = [batch(k) for k in range(3)]
    seen = observe(network(), batches)
    everything = np.stack(batches)
    assert seen.ranges["x"] == (everything.min(), everything.max())
    np.testing.assert_allclose(seen.means["x"], everything.mean(axis=(0, 1, 3, 4)), atol=1e-6)


def test_no_frames_are_refused() -> None:
    with pytest.raises(ModelError, match="no frame to calibrate on"):
        observe(network(), [])
