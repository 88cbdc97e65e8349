"""The small table from which a float model becomes an 8-bit or a bf16-proof one.

The table holds no weights and no pixels: channel means and ranges of activations as seen on
freely licensed video. It is committed, so everybody derives the same graph from the pinned file.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import onnx
from onnx import version_converter

from contanos.errors import ModelError
from contanos.models.centre import centre, pointwise
from contanos.models.graph import OPSET
from contanos.models.observe import Array, observe
from contanos.models.quantize import Recipe, chosen, quantize
from contanos.models.runtime import Precision, Runtime
from contanos.models.silu import around_means


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one model.

    Attributes:
        model: sha256 of the float file that it belongs to.
        frames: which pictures were shown, in words.
        means: per tensor that a 1x1 convolution reads, each channel's mean; empty where the model
            needs no centring.
        ranges: per tensor of a convolution in 8 bits, its least and greatest value.
        keep: outputs of the convolutions that stay in float, because 8 bits there cost accuracy.
    """

    model: str
    frames: str
    means: dict[str, list[float]]
    ranges: dict[str, tuple[float, float]]
    keep: list[str]


def calibrate(
    model: onnx.ModelProto,
    batches: Sequence[Array],
    *,
    sha256: str,
    frames: str,
    centred: bool,
    keep: Sequence[str] = (),
) -> Calibration:
    """Watches `model` on `batches`.

    Args:
        model: float32, as it will be run (for a detector, after `raw_head`).
        batches: preprocessed inputs, gone through twice if `centred`.
        sha256: of the pinned file that `model` was made from.
        frames: what the batches show, and their licence.
        centred: subtract channel means before 1x1 convolutions.
        keep: convolutions to leave in float, by output.

    Raises:
        ModelError: `batches` is empty.
    """
    graph = upgrade(model)
    means: dict[str, list[float]] = {}
    if centred:
        names = {node.input[0] for node in pointwise(graph.graph)}
        seen = observe(graph, batches).means
        means = {name: [_digits(x, 5) for x in seen[name]] for name in seen if name in names}
    moved = centre(graph, means)
    ranges = observe(moved, batches).ranges
    used = _touched(moved.graph, frozenset(keep))
    rounded = {name: (_digits(ranges[name][0], 5), _digits(ranges[name][1], 5)) for name in used}
    return Calibration(model=sha256, frames=frames, means=means, ranges=rounded, keep=list(keep))


def derive(
    model: onnx.ModelProto, precision: Precision, runtime: Runtime, table: Calibration
) -> onnx.ModelProto:
    """The graph to run `model` by, the same on every machine.

    f32 is the model itself; bf16 has its 1x1 convolutions centred, and the SiLUs in front of them
    computed around their means; int8 has them centred, and integers where the runtime computes in
    them.
    """
    if precision == "f32":
        return model
    centred = centre(upgrade(model), table.means)
    if precision == "bf16":
        return around_means(centred)
    keep = frozenset(table.keep)
    if runtime == "openvino":
        return quantize(centred, table.ranges, Recipe(keep=keep))
    return quantize(centred, table.ranges, Recipe(weight_bits=7, outputs=True, keep=keep))


def upgrade(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` in the operator set that per-channel scales need.

    Raises:
        ModelError: onnx cannot convert an operator of it.
    """
    if model.opset_import[0].version >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except RuntimeError as e:
        raise ModelError(f"the model's operators cannot be converted: {e}") from e


def load(path: Path, sha256: str) -> Calibration:
    """The table in `path`.

    Args:
        path: a JSON file that `save` wrote.
        sha256: of the model that it must belong to.

    Raises:
        ModelError: no such file, not a table, or another model's.
    """
    try:
        table = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError) as e:
        raise ModelError(f"cannot read the calibration {path}: {e}; {_HINT}") from e
    if table.model != sha256:
        raise ModelError(f"{path} was calibrated for another model file; {_HINT}")
    return table


def save(table: Calibration, path: Path) -> None:
    """Writes `table` as JSON with one field a line."""
    fields = msgspec.to_builtins(table)
    lines = [f'"{key}": {msgspec.json.encode(value).decode()}' for key, value in fields.items()]
    path.write_text("{" + ",\n ".join(lines) + "}\n", encoding="utf-8")


_HINT = "run it in f32, or make the table by `contanos models quantize`"


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _touched(graph: onnx.GraphProto, keep: frozenset[str]) -> list[str]:
    convs = chosen(graph, keep)
    return list(dict.fromkeys(name for conv in convs for name in (conv.input[0], conv.output[0])))
