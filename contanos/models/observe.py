"""What a float model's activations are on example inputs: ranges and channel means.

Both come from running the model itself, in float, with reductions added as further outputs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

from contanos.errors import ModelError

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Observed:
    """Activations as seen over all batches.

    Attributes:
        ranges: per tensor its least and greatest value.
        means: per tensor [N, C, H, W] the mean of each channel, C values.
    """

    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    means: dict[str, list[float]] = field(default_factory=dict)


def observe(model: onnx.ModelProto, batches: Iterable[Array]) -> Observed:
    """Runs `model` on each batch and reports what flows into and out of its convolutions.

    Args:
        model: one input, [N, C, H, W] float32.
        batches: inputs of the model, of any shapes that it takes.

    Raises:
        ModelError: no batch was given.
    """
    names = activations(model.graph)
    session = _session(_with_reductions(model, names))
    feed = model.graph.input[0].name
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    total: dict[str, npt.NDArray[np.float64]] = {}
    count = 0
    for batch in batches:
        values = session.run(None, {feed: batch})
        for k, name in enumerate(names):
            least, most, mean = values[3 * k : 3 * k + 3]
            low[name] = min(low.get(name, np.inf), float(least))
            high[name] = max(high.get(name, -np.inf), float(most))
            total[name] = total.get(name, np.zeros(mean.shape)) + mean.astype(np.float64)
        count += 1
    if count == 0:
        raise ModelError("no frame to calibrate on; give at least one readable video with people")
    ranges = {name: (low[name], high[name]) for name in names}
    return Observed(ranges, {name: (total[name] / count).tolist() for name in names})


def activations(graph: onnx.GraphProto) -> list[str]:
    """Names of the tensors that convolutions read and write, once each, in the graph's order."""
    convs = [node for node in graph.node if node.op_type == "Conv"]
    return list(dict.fromkeys(name for node in convs for name in (node.input[0], node.output[0])))


def _with_reductions(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.output[:]
    for name in names:
        for op in ("ReduceMin", "ReduceMax", "ReduceMean"):
            out = f"{name}/{op}"
            node = helper.make_node(op, [name], [out], keepdims=0)
            if op == "ReduceMean":
                node.attribute.append(helper.make_attribute("axes", [0, 2, 3]))
            result.graph.node.append(node)
            result.graph.output.append(
                helper.make_tensor_value_info(out, onnx.TensorProto.FLOAT, None)
            )
    return result


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
