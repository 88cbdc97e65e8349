"""Exact rewrites of a detector's graph: no weight changes its value, some are left out.

`raw_head` turns an exported YOLOX whose input is a fixed square and whose non-maximum suppression
sits inside the graph into one with a free input size that yields the raw grid, so that a wide
picture is not padded to a square and classes nobody asks for are not computed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from contanos.errors import ModelError

OPSET = 13
"""The first operator set in which `QuantizeLinear` knows per-channel scales."""


def raw_head(model: onnx.ModelProto, classes: Sequence[int] = (0,)) -> onnx.ModelProto:
    """A YOLOX with post-processing inside, cut back to the raw grid that it decodes.

    The output follows the YOLOX authors' own export: `output` [N, A, 5 + len(classes)] float32,
    per cell dx, dy (in strides, from the cell's corner), log w, log h (in strides), objectness
    and class scores after their sigmoids; A runs over the levels of stride 8, 16, 32 in this
    order, each row by row. The input is [N, 3, H, W] with H and W any multiples of 32.

    Args:
        model: an export with space-to-depth by reshape in front and `NonMaxSuppression` behind.
        classes: which of the model's classes to keep, in the order of the output's columns.

    Raises:
        ModelError: the graph is not such an export.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    levels = _head_levels(graph)
    outputs = [_level(graph, k, level, classes) for k, level in enumerate(levels)]
    _join(graph, outputs, 5 + len(classes))
    _free_stem(graph)
    free_shape(graph.input[0], ["batch", 3, "height", "width"])
    prune(graph)
    return _finished(result)


def free_shape(value: onnx.ValueInfoProto, shape: Sequence[str | int]) -> None:
    """Gives `value` the float32 shape `shape`, names standing for free dimensions."""
    value.CopyFrom(helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape))


def prune(graph: onnx.GraphProto) -> None:
    """Drops nodes and initializers that no output depends on, and all recorded shapes."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    nodes = list(reversed(kept))
    weights = [each for each in graph.initializer if each.name in needed]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)


def inserted(graph: onnx.GraphProto, after: Mapping[str, Sequence[onnx.NodeProto]]) -> None:
    """Puts nodes behind the node that writes the tensor they are listed under.

    Those of a tensor that no node writes, an input or a weight, come first.
    """
    written = {name for node in graph.node for name in node.output}
    nodes = [new for name, news in after.items() if name not in written for new in news]
    for node in graph.node:
        nodes.append(node)
        nodes.extend(new for name in node.output for new in after.get(name, ()))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def constant(graph: onnx.GraphProto, name: str, values: np.ndarray) -> str:
    """Adds a weight to the graph and returns its name."""
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def weight(graph: onnx.GraphProto, name: str) -> onnx.TensorProto:
    """The initializer called `name`.

    Raises:
        ModelError: there is none.
    """
    found: list[onnx.TensorProto] = [each for each in graph.initializer if each.name == name]
    if found:
        return found[0]
    raise ModelError(f"the model's graph has no weight {name!r}; pull the pinned file again")


def _head_levels(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, ...]]:
    """Per level: the box, objectness and class convolutions, in the graph's order.

    Box (4 channels) and objectness read one tensor; the class convolution, the only other one
    that no further convolution follows, comes in the same order of levels.
    """
    last = last_convolutions(graph)
    channels = {node.name: weight(graph, node.input[1]).dims[0] for node in last}
    boxes = [node for node in last if channels[node.name] == 4]
    inputs = {node.input[0] for node in boxes}
    scores = [node for node in last if node.input[0] in inputs and node not in boxes]
    labels = [node for node in last if node.input[0] not in inputs]
    if len(boxes) != 3 or len(scores) != 3 or len(labels) != 3:
        raise ModelError("not a YOLOX export with three levels and its post-processing inside")
    return list(zip(boxes, scores, labels, strict=True))


def last_convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Convolutions whose results reach the outputs through no other convolution."""
    leads_to_one: set[str] = set()
    last = []
    for node in reversed(graph.node):
        follows = bool(leads_to_one.intersection(node.output))
        if node.op_type == "Conv" and not follows:
            last.append(node)
        if node.op_type == "Conv" or follows:
            leads_to_one.update(node.input)
    return last[::-1]


def _level(
    graph: onnx.GraphProto, k: int, convs: tuple[onnx.NodeProto, ...], classes: Sequence[int]
) -> str:
    box, score, label = convs
    _keep_channels(graph, label, classes)
    parts = [box.output[0], f"objectness_{k}", f"classes_{k}"]
    columns = 4 + 1 + len(classes)
    shape = numpy_helper.from_array(np.array([0, columns, -1], np.int64), f"cells_shape_{k}")
    graph.initializer.append(shape)
    graph.node.extend(
        [
            helper.make_node("Sigmoid", [score.output[0]], [parts[1]]),
            helper.make_node("Sigmoid", [label.output[0]], [parts[2]]),
            helper.make_node("Concat", parts, [f"level_{k}"], axis=1),
            helper.make_node("Reshape", [f"level_{k}", shape.name], [f"cells_{k}"]),
        ]
    )
    return f"cells_{k}"


def _keep_channels(graph: onnx.GraphProto, conv: onnx.NodeProto, keep: Sequence[int]) -> None:
    for name in conv.input[1:]:
        tensor = weight(graph, name)
        values = numpy_helper.to_array(tensor)
        if max(keep) >= len(values):
            raise ModelError(f"class {max(keep)} asked of a model that has {len(values)}")
        tensor.CopyFrom(numpy_helper.from_array(values[list(keep)], name))


def _join(graph: onnx.GraphProto, levels: Sequence[str], columns: int) -> None:
    graph.node.append(helper.make_node("Concat", levels, ["cells"], axis=2))
    graph.node.append(helper.make_node("Transpose", ["cells"], ["output"], perm=[0, 2, 1]))
    del graph.output[:]
    output = helper.make_tensor_value_info(
        "output", onnx.TensorProto.FLOAT, ["batch", "cells", columns]
    )
    graph.output.append(output)


def _free_stem(graph: onnx.GraphProto) -> None:
    """Reshape, transpose, reshape and a 3x3 convolution become one 6x6 of stride 2.

    Space-to-depth followed by a 3x3 convolution is that 6x6 convolution exactly: block (i, j) of
    the 12 channels holds the pixels of row offset i and column offset j, and one cell of padding
    is two pixels. The export wrote its 12 channels column offset first, then row, then colour.
    """
    stem = next(node for node in graph.node if node.op_type == "Conv")
    kernel = weight(graph, stem.input[1])
    if list(kernel.dims[1:]) != [12, 3, 3] or graph.node[1].op_type != "Transpose":
        raise ModelError("the model does not begin with space-to-depth by reshape")
    blocks = numpy_helper.to_array(kernel).reshape(-1, 2, 2, 3, 3, 3)  # out, dx, dy, c, y, x
    flat = blocks.transpose(0, 3, 4, 2, 5, 1).reshape(-1, 3, 6, 6)
    kernel.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(flat), kernel.name))
    stem.input[0] = graph.input[0].name
    del stem.attribute[:]
    sizes = {"kernel_shape": [6, 6], "strides": [2, 2], "pads": [2, 2, 2, 2]}
    stem.attribute.extend(helper.make_attribute(key, value) for key, value in sizes.items())


def _finished(model: onnx.ModelProto) -> onnx.ModelProto:
    """Checked, and marked with the operator set that every operator left here reads alike."""
    model.opset_import[0].version = OPSET
    onnx.checker.check_model(model, full_check=True)
    return model
