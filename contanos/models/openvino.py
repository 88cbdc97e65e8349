"""Networks run by OpenVINO on the CPU; an optional extra."""

import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from contanos.errors import ModelError
from contanos.models.runtime import Array, Precision, Runtime

Shapes = tuple[tuple[str, tuple[int, ...]], ...]

MAX_SHAPES = 8
"""Compiled at once; each costs tens of MB, and the oldest makes room for a new one."""


class OpenVinoSession:
    """A network compiled once per input shape, with one stream a thread.

    Fixed shapes run faster than free ones (buffers and kernels are laid out beforehand), and a
    pipeline uses few: one per picture format and batch size.

    Attributes:
        runtime: "openvino".
        device: "CPU".
    """

    runtime: Runtime = "openvino"
    device: str = "CPU"

    def __init__(self, model: bytes, precision: Precision, threads: int) -> None:
        ov = _openvino()
        _prime()
        self._core = ov.Core()
        self._config = _config(precision, threads)
        self._compiled: dict[Shapes, Any] = {}
        self._lock = threading.Lock()
        self._local = threading.local()
        try:
            self._model = self._core.read_model(model)
        except RuntimeError as e:
            raise ModelError(f"OpenVINO cannot read the model: {e}") from e
        self._names = {each.any_name for each in self._model.inputs}

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """See `contanos.models.runtime.Session.run`."""
        if inputs.keys() != self._names:
            raise ModelError(
                f"inputs that the model does not take: {sorted(inputs)} for {sorted(self._names)}"
            )
        shapes = tuple((name, array.shape) for name, array in sorted(inputs.items()))
        request = self._request(shapes)
        request.infer(dict(inputs), share_inputs=True)
        return [np.array(tensor.data, np.float32) for tensor in request.output_tensors]

    def _request(self, shapes: Shapes) -> Any:
        """This thread's own request for these shapes: a request holds one call's buffers."""
        requests: dict[Shapes, Any] = self._local.__dict__.setdefault("requests", {})
        if shapes not in requests:
            compiled = self._compile(shapes)
            for dropped in [each for each in requests if each not in self._compiled]:
                del requests[dropped]
            requests[shapes] = compiled.create_infer_request()
        return requests[shapes]

    def _compile(self, shapes: Shapes) -> Any:
        with self._lock:
            if shapes not in self._compiled:
                if len(self._compiled) == MAX_SHAPES:
                    del self._compiled[next(iter(self._compiled))]
                self._compiled[shapes] = self._compiled_for(shapes)
            return self._compiled[shapes]

    def _compiled_for(self, shapes: Shapes) -> Any:
        model = self._model.clone()
        try:
            model.reshape({name: list(shape) for name, shape in shapes})
            return self._core.compile_model(model, "CPU", self._config)
        except (RuntimeError, TypeError) as e:
            raise ModelError(f"inputs that the model does not take: {e}") from e


def capabilities() -> frozenset[str] | None:
    """What OpenVINO computes fast on this CPU, such as FP32, INT8, BF16; None without OpenVINO.

    AMX stands beside them where the CPU multiplies matrices of bf16: OpenVINO names bf16 alike with
    and without, but with it bf16 is faster than int8 convolutions, without it slower.
    """
    try:
        ov = _openvino()
    except ModelError:
        return None
    named = frozenset(ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return named | {"AMX"} if "BF16" in named and _has_amx() else named


def _has_amx(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the kernel lists the flag; elsewhere than on Linux, no."""
    try:
        return "amx_bf16" in cpuinfo.read_text(encoding="utf-8").split()
    except OSError:
        return False


def _config(precision: Precision, threads: int) -> dict[str, Any]:
    """Properties for `threads` calls at once, each on one thread.

    The precision is always named: left out, OpenVINO takes bf16 where the CPU has it. Of an int8
    graph it governs what stays in float. Threads are not pinned to cores, which decoding, encoding
    and the other network share.
    """
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }


@cache
def _prime() -> None:
    """One small inference, alone, before any thread calls OpenVINO.

    Its Python binding fills its tables of types at first use: one thread holds the table and waits
    for the interpreter's lock, the other holds the interpreter and waits for the table, for ever.
    """
    ov = _openvino()
    point = ov.opset13.parameter([1], ov.Type.f32, name="point")
    model = ov.Model([ov.opset13.relu(point)], [point], "prime")
    request = ov.compile_model(model, "CPU").create_infer_request()
    request.infer({"point": np.zeros(1, np.float32)}, share_inputs=True)
    np.array(request.output_tensors[0].data, np.float32)


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as e:
        raise ModelError(
            "OpenVINO is not installed; add it by `pip install 'contanos[openvino]'`, or choose "
            "--runtime onnxruntime"
        ) from e
    return openvino
