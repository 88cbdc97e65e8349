"""Networks run by onnxruntime: on an NVIDIA GPU where it can, else on the CPU."""

import importlib.util
from collections.abc import Mapping

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidProtobuf

from contanos.errors import ModelError
from contanos.models.runtime import Array, Runtime

_LOAD_ERRORS = (Fail, InvalidArgument, InvalidProtobuf, RuntimeError)


class OnnxRuntimeSession:
    """One onnxruntime session; its `run` may be called from many threads.

    Attributes:
        runtime: "onnxruntime".
        device: the execution provider that took the graph.
    """

    runtime: Runtime = "onnxruntime"

    def __init__(self, model: bytes) -> None:
        try:
            self._session = onnxruntime.InferenceSession(model, _options(), providers=providers())
        except _LOAD_ERRORS as e:
            raise ModelError(f"onnxruntime cannot load the model: {e}") from e
        self.device: str = self._session.get_providers()[0]

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """See `contanos.models.runtime.Session.run`."""
        try:
            outputs: list[Array] = self._session.run(None, dict(inputs))
        except (InvalidArgument, ValueError) as e:
            raise ModelError(f"inputs that the model does not take: {e}") from e
        return outputs


def providers() -> list[str]:
    """Execution providers to try, best first: TensorRT, CUDA, then the CPU.

    A GPU build names TensorRT as available whether or not its library is installed, so that
    one is asked for only where the library is found.
    """
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    if importlib.util.find_spec("tensorrt"):
        wanted.insert(0, "TensorrtExecutionProvider")
    available = onnxruntime.get_available_providers()
    return [name for name in wanted if name in available]


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the cores that other sessions compute on.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
