"""SiLU computed around a channel's mean, so that 16-bit floats hold what the channel says.

A centred tensor (`contanos.models.centre`) is often SiLU(z) - M with z straight from a convolution.
A runtime that keeps z or SiLU(z) in bf16 has lost the channel's meaning before M is subtracted:
around 11.4 the steps of bf16 are 0.06 apart, twice what such a channel moves. So the convolution's
bias, which is added before anything is rounded, takes the mean m of z away, and with u = z - m

    SiLU(z) - M = u * sigmoid(u + m) + (m * sigmoid(u + m) - M)

in exact arithmetic, whatever m is. Both terms are small where the channel moves little.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contanos.models.graph import constant, inserted, weight

_NEWTON_STEPS = 60


class _Gate(NamedTuple):
    """A convolution, its sigmoid, their product, and the subtraction of the product's mean."""

    conv: onnx.NodeProto
    sigmoid: onnx.NodeProto
    product: onnx.NodeProto
    centring: onnx.NodeProto


def around_means(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, equal in f32 up to rounding, with its centred SiLUs computed around their means.

    Only where nothing else reads the convolution or its SiLU.

    Args:
        model: float32, as `contanos.models.centre.centre` gives it.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    gates = _gates(graph)
    gone = [name for gate in gates for node in gate[1:] for name in node.output]
    nodes = {gate.conv.output[0]: _computed(graph, gate) for gate in gates}
    left = [node for node in graph.node if node.output[0] not in gone]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in left]
    del graph.node[:]
    graph.node.extend(copies)
    inserted(graph, nodes)
    return result


def inverse_silu(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where SiLU takes each value: x >= 0 for a value above 0, and 0 for any other."""
    wanted = np.maximum(values, 0.0)
    x = wanted.copy()
    for _ in range(_NEWTON_STEPS):
        gate = 1 / (1 + np.exp(-x))
        x = np.maximum(x - (x * gate - wanted) / (gate * (1 + x * (1 - gate))), 0.0)
    return x


def _gates(graph: onnx.GraphProto) -> list[_Gate]:
    writer = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    found = []
    for centring in (node for node in graph.node if node.op_type == "Sub"):
        product = writer.get(centring.input[0])
        if product is None or product.op_type != "Mul" or len(readers[product.output[0]]) != 1:
            continue
        parts = {writer[name].op_type: writer[name] for name in product.input if name in writer}
        conv, sigmoid = parts.get("Conv"), parts.get("Sigmoid")
        if conv is None or sigmoid is None or sigmoid.input[0] != conv.output[0]:
            continue
        if len(readers[conv.output[0]]) == 2 and len(conv.input) == 3:
            found.append(_Gate(conv, sigmoid, product, centring))
    return found


def _computed(graph: onnx.GraphProto, gate: _Gate) -> list[onnx.NodeProto]:
    """Moves the convolution's bias, and gives the nodes that follow it."""
    u, mean = gate.conv.output[0], gate.centring.input[1]
    m = inverse_silu(numpy_helper.to_array(weight(graph, mean)).astype(np.float64))
    m = m.astype(np.float32)
    bias = weight(graph, gate.conv.input[2])
    moved = numpy_helper.to_array(bias).astype(np.float64) - m.ravel()
    bias.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), bias.name))
    shift = constant(graph, f"{u}/shift", m)
    return [
        helper.make_node("Add", [u, shift], [f"{u}/whole"]),
        helper.make_node("Sigmoid", [f"{u}/whole"], [f"{u}/gate"]),
        helper.make_node("Mul", [u, f"{u}/gate"], [f"{u}/moving"]),
        helper.make_node("Mul", [f"{u}/gate", shift], [f"{u}/still"]),
        helper.make_node("Sub", [f"{u}/still", mean], [f"{u}/rest"]),
        helper.make_node("Add", [f"{u}/moving", f"{u}/rest"], list(gate.centring.output)),
    ]
