"""8-bit convolutions by `QuantizeLinear` and `DequantizeLinear` pairs, from given ranges.

Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 2.1: real = scale * (integer - zero).
Activations are unsigned with one scale a tensor, weights signed with one scale an output channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from contanos.errors import ModelError
from contanos.models.graph import constant, inserted, last_convolutions, prune, weight

Ranges = Mapping[str, tuple[float, float]]

SILU_FLOOR = -6.0
"""Below it SiLU is within 0.015 of zero; outputs are cut there to spend the 8 bits above."""


@dataclass(frozen=True)
class Recipe:
    """How to quantize.

    Attributes:
        weight_bits: 7 where multiply-adds of two 8-bit pairs saturate at 16 bits (onnxruntime on
            CPUs without VNNI), which 7-bit weights cannot reach.
        outputs: also round what a convolution writes. onnxruntime needs it to run the whole
            convolution in integers; OpenVINO reads the inputs' scales alone and is more exact.
        keep: outputs of convolutions that stay in float.
    """

    weight_bits: int = 8
    outputs: bool = False
    keep: frozenset[str] = frozenset()


def quantize(model: onnx.ModelProto, ranges: Ranges, recipe: Recipe) -> onnx.ModelProto:
    """`model` with its convolutions in 8 bits.

    In float stay the first convolution, which sees the pixels, the last ones (no other follows
    them), depthwise ones, those of channel attention (their input is one pooled value a channel)
    and those of `recipe.keep`: together a small share of the time and a large one of the error.

    Args:
        model: float32, operator set 13 or later.
        ranges: least and greatest value of what each convolution reads and, with
            `recipe.outputs`, writes.
        recipe: see there.

    Raises:
        ModelError: a tensor has no range: the table belongs to another model.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    pairs = _Pairs(graph, ranges)
    for conv in chosen(graph, recipe.keep):
        conv.input[0] = pairs.rounded(conv.input[0])
        _quantize_weights(graph, conv, pairs, recipe)
        if recipe.outputs:
            _round_output(graph, conv, pairs)
    inserted(graph, pairs.nodes)
    prune(graph)
    return result


def chosen(graph: onnx.GraphProto, keep: frozenset[str] = frozenset()) -> list[onnx.NodeProto]:
    """The convolutions that 8 bits suit, without those whose output is in `keep`."""
    convs = [node for node in graph.node if node.op_type == "Conv"]
    last = {node.output[0] for node in last_convolutions(graph)}
    pooled = _pooled(graph)
    return [
        conv
        for conv in convs[1:]
        if conv.output[0] not in last | keep
        and conv.input[0] not in pooled
        and weight(graph, conv.input[1]).dims[1] > 1
    ]


def _pooled(graph: onnx.GraphProto) -> set[str]:
    """Tensors of one value a channel, straight from pooling or centred after it."""
    names: set[str] = set()
    for node in graph.node:
        centred = node.op_type == "Sub" and node.input[0] in names
        if node.op_type == "GlobalAveragePool" or centred:
            names.update(node.output)
    return names


class _Pairs:
    """Rounding to 8 bits and back, once a tensor.

    Attributes:
        nodes: what to insert, by the tensor to insert it after.
        scales: of the tensors rounded so far, by their rounded names.
    """

    def __init__(self, graph: onnx.GraphProto, ranges: Ranges) -> None:
        self.nodes: dict[str, list[onnx.NodeProto]] = {}
        self.scales: dict[str, np.float32] = {}
        self._graph = graph
        self._ranges = ranges

    def rounded(self, name: str, floor: float = -np.inf) -> str:
        """The name of the tensor `name` after rounding."""
        if name not in self.nodes:
            scale, zero = self._parameters(name, floor)
            self.nodes[name] = self._pair(name, np.asarray(scale), np.asarray(zero))
            self.scales[f"{name}/rounded"] = scale
        return f"{name}/rounded"

    def _parameters(self, name: str, floor: float) -> tuple[np.float32, np.uint8]:
        if name not in self._ranges:
            raise ModelError(f"no range for {name!r}: the calibration is of another model")
        low, high = self._ranges[name]
        low, high = min(max(low, floor), 0.0), max(high, 0.0)  # zero must be exact: it pads
        scale = np.float32((high - low) / 255 or 1.0)
        return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))

    def _pair(self, name: str, scale: np.ndarray, zero: np.ndarray) -> list[onnx.NodeProto]:
        """Rounds the tensor `name` to `name`/8bit and reads that back as `name`/rounded."""
        at = [
            constant(self._graph, f"{name}/scale", scale),
            constant(self._graph, f"{name}/zero", zero),
        ]
        return [
            helper.make_node("QuantizeLinear", [name, *at], [f"{name}/8bit"]),
            helper.make_node("DequantizeLinear", [f"{name}/8bit", *at], [f"{name}/rounded"]),
        ]


def _quantize_weights(
    graph: onnx.GraphProto, conv: onnx.NodeProto, pairs: _Pairs, recipe: Recipe
) -> None:
    """Weights become signed integers; the bias too where the runtime needs all in integers."""
    kernel = numpy_helper.to_array(weight(graph, conv.input[1]))
    top = 2 ** (recipe.weight_bits - 1) - 1
    peak = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
    scale = np.where(peak > 0, peak / top, 1).astype(np.float32)
    integers = np.rint(kernel / scale.reshape(-1, 1, 1, 1)).clip(-top, top).astype(np.int8)
    if recipe.outputs:
        bias = numpy_helper.to_array(weight(graph, conv.input[2]))
        unit = scale * pairs.scales[conv.input[0]]
        steps = np.rint(bias / unit).astype(np.int32)
        conv.input[2] = _stored(graph, pairs, conv.input[2], steps, unit)
    conv.input[1] = _stored(graph, pairs, conv.input[1], integers, scale)


def _stored(
    graph: onnx.GraphProto, pairs: _Pairs, name: str, integers: np.ndarray, scale: np.ndarray
) -> str:
    """Keeps `integers` in the graph, read back as reals by one scale an output channel."""
    zeros = np.zeros(len(scale), integers.dtype)
    inputs = [
        constant(graph, f"{name}/integers", integers),
        constant(graph, f"{name}/scale", scale.astype(np.float32)),
        constant(graph, f"{name}/zero", zeros),
    ]
    real = helper.make_node("DequantizeLinear", inputs, [f"{name}/real"], axis=0)
    pairs.nodes[inputs[0]] = [real]
    return f"{name}/real"


def _round_output(graph: onnx.GraphProto, conv: onnx.NodeProto, pairs: _Pairs) -> None:
    """All that reads the convolution's output reads it rounded."""
    name = conv.output[0]
    readers = [node for node in graph.node if name in node.input]
    rounded = pairs.rounded(name, SILU_FLOOR)
    for node in readers:
        node.input[:] = [rounded if each == name else each for each in node.input]
