"""Which runtime and precision a model runs by on this machine.

A table of measured steps, best first, is read from the top, and the first step that the machine
can take and the user did not rule out is taken. Nothing is timed at start-up: the same machine
always chooses alike, and so gives the same results.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contanos.errors import SettingError
from contanos.models.onnxruntime import providers
from contanos.models.openvino import capabilities
from contanos.models.runtime import Precision, Runtime


@dataclass(frozen=True)
class Machine:
    """What this machine can run.

    Attributes:
        gpu: onnxruntime can use an NVIDIA GPU.
        openvino: what the CPU computes fast, as OpenVINO names it (FP32, INT8, BF16), and AMX;
            None where OpenVINO is not installed.
    """

    gpu: bool
    openvino: frozenset[str] | None


@dataclass(frozen=True)
class Step:
    """One way to run a model, accepted by its accuracy on ground truth.

    Attributes:
        runtime: the library.
        precision: of the arithmetic.
        why: what was measured, in words for the summary.
        needs: a capability of the CPU as in `Machine.openvino`, or "GPU"; None for nothing.
        auto: whether `auto` may take it; otherwise it is taken only where asked for.
    """

    runtime: Runtime
    precision: Precision
    why: str
    needs: str | None = None
    auto: bool = True


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why in words."""

    runtime: Runtime
    precision: Precision
    reason: str


def choose(
    ladder: Sequence[Step],
    machine: Machine,
    runtime: Runtime | None = None,
    precision: Precision | None = None,
) -> Choice:
    """The first step of `ladder` that `machine` can take.

    Args:
        ladder: measured steps, best first.
        machine: see `this_machine`.
        runtime: only this one; None for any.
        precision: only this one; None for any that `auto` may take.

    Raises:
        SettingError: no step fits; the message says why each one does not.
    """
    refused = []
    for step in ladder:
        obstacle = _obstacle(step, machine, runtime, precision)
        if obstacle is None:
            return Choice(step.runtime, step.precision, _reason(step, runtime, precision))
        refused.append(f"{step.runtime} {step.precision}: {obstacle}")
    raise SettingError("no way to run the model as asked:\n  " + "\n  ".join(refused))


def this_machine() -> Machine:
    """What the machine that runs this can do."""
    return Machine(gpu=providers()[0] != "CPUExecutionProvider", openvino=capabilities())


def _obstacle(
    step: Step, machine: Machine, runtime: Runtime | None, precision: Precision | None
) -> str | None:
    if runtime not in (None, step.runtime):
        return f"{runtime} was asked for"
    if precision not in (None, step.precision):
        return f"{precision} was asked for"
    if not step.auto and precision is None:
        return "loses accuracy; ask for it by its precision"
    if step.needs == "GPU" and not machine.gpu:
        return "no NVIDIA GPU that onnxruntime can use"
    if step.runtime == "openvino" and machine.openvino is None:
        return "OpenVINO is not installed; add it by `pip install 'contanos[openvino]'`"
    if step.needs not in (None, "GPU") and step.needs not in (machine.openvino or ()):
        return f"this CPU has no fast {step.needs}"
    return None


def _reason(step: Step, runtime: Runtime | None, precision: Precision | None) -> str:
    asked = [str(each) for each in (runtime, precision) if each is not None]
    return f"{' '.join(asked)} was asked for; {step.why}" if asked else step.why
