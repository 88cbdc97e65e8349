"""One small interface in front of the libraries that run a network.

Every call is single-threaded arithmetic: the pipeline runs several inferences at once, one a core,
which finishes more frames than several cores on one inference, and gives the same sums whatever
else runs. A session is opened once and shared by all threads.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnx

from contanos.errors import ModelError, SettingError

Array = npt.NDArray[np.float32]
Runtime = Literal["onnxruntime", "openvino"]
Precision = Literal["f32", "bf16", "int8"]


class Session(Protocol):
    """A network ready to run, safe to call from several threads at once."""

    runtime: Runtime
    device: str

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The network's outputs, in the graph's order; the caller owns them.

        Args:
            inputs: by input name, float32, shaped as the graph declares.

        Raises:
            ModelError: an input's name or shape does not fit.
        """
        ...


def open_session(
    model: Path | onnx.ModelProto, runtime: Runtime, precision: Precision, threads: int
) -> Session:
    """A session of `model`.

    Args:
        model: an ONNX file, or a graph made from one; for int8 a quantized graph, for bf16 one
            that bears it (`contanos.models.derive`).
        runtime: which library runs it.
        precision: of the arithmetic; bf16 needs OpenVINO.
        threads: how many calls may run at once.

    Raises:
        ModelError: the runtime is not installed, or cannot load the model.
        SettingError: the runtime does not know the precision, or `threads` is not positive.
    """
    if threads < 1:
        raise SettingError(f"{threads} inference threads; at least 1 is needed")
    if runtime == "onnxruntime":
        from contanos.models.onnxruntime import OnnxRuntimeSession

        if precision == "bf16":
            raise SettingError("onnxruntime has no bf16 on CPUs; use --runtime openvino or f32")
        return OnnxRuntimeSession(model_bytes(model))
    from contanos.models.openvino import OpenVinoSession

    return OpenVinoSession(model_bytes(model), precision, threads)


def model_bytes(model: Path | onnx.ModelProto) -> bytes:
    """The serialized graph.

    Raises:
        ModelError: the file cannot be read.
    """
    if isinstance(model, onnx.ModelProto):
        serialized: bytes = model.SerializeToString()
        return serialized
    try:
        return model.read_bytes()
    except OSError as e:
        raise ModelError(f"cannot read the model {model}: {e}; `contanos models pull`") from e
