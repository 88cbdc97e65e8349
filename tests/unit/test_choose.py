"""The first measured step that the machine can take, never one it cannot."""

import pytest

from contanos.errors import SettingError
from contanos.models.choose import Machine, Step, choose, this_machine
from video_analysis.models.measured import DETECTOR, POSE

LADDER = (
    Step("onnxruntime", "f32", "a GPU", needs="GPU"),
    Step("openvino", "bf16", "bf16 units", needs="BF16"),
    Step("openvino", "int8", "8 bits", needs="INT8"),
    Step("onnxruntime", "f32", "runs everywhere"),
    Step("onnxruntime", "int8", "less accurate", auto=False),
)
AVX2 = Machine(gpu=False, openvino=frozenset({"FP32", "INT8"}))
ZEN4 = Machine(gpu=False, openvino=frozenset({"FP32", "INT8", "BF16"}))
AMX = Machine(gpu=False, openvino=frozenset({"FP32", "INT8", "BF16", "AMX"}))
BARE = Machine(gpu=False, openvino=None)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (AVX2, ("openvino", "int8")),
        (AMX, ("openvino", "bf16")),
        (BARE, ("onnxruntime", "f32")),
        (Machine(gpu=True, openvino=AMX.openvino), ("onnxruntime", "f32")),
    ],
)
def test_auto_takes_the_first_step_it_can(machine: Machine, expected: tuple[str, str]) -> None:
    choice = choose(LADDER, machine)
    assert (choice.runtime, choice.precision) == expected


def test_what_the_user_asked_for_is_kept() -> None:
    choice = choose(LADDER, AMX, runtime="openvino", precision="int8")
    assert (choice.precision, choice.reason) == ("int8", "openvino int8 was asked for; 8 bits")


def test_an_inaccurate_step_is_taken_only_when_asked_for() -> None:
    only = LADDER[-1:]
    assert choose(only, BARE, precision="int8").precision == "int8"
    with pytest.raises(SettingError, match="loses accuracy"):
        choose(only, BARE)


def test_a_refusal_says_what_each_step_lacks() -> None:
    with pytest.raises(SettingError, match="no fast BF16"):
        choose(LADDER, AVX2, precision="bf16")
    with pytest.raises(SettingError, match=r"pip install 'contanos\[openvino\]'"):
        choose(LADDER, BARE, runtime="openvino")


def test_this_machine_can_run_something() -> None:
    assert choose(LADDER, this_machine()).runtime in ("onnxruntime", "openvino")


@pytest.mark.parametrize(
    ("machine", "detector", "pose"),
    [
        (AMX, ("openvino", "bf16"), ("openvino", "bf16")),
        (ZEN4, ("openvino", "int8"), ("openvino", "bf16")),
        (AVX2, ("openvino", "int8"), ("onnxruntime", "f32")),
        (BARE, ("onnxruntime", "f32"), ("onnxruntime", "f32")),
    ],
)
def test_the_measured_ladders(
    machine: Machine, detector: tuple[str, str], pose: tuple[str, str]
) -> None:
    for ladder, expected in ((DETECTOR, detector), (POSE, pose)):
        choice = choose(ladder, machine)
        assert (choice.runtime, choice.precision) == expected


@pytest.mark.parametrize("ladder", [DETECTOR, POSE])
def test_bf16_is_had_for_the_asking_where_the_cpu_has_it(ladder: tuple[Step, ...]) -> None:
    for machine in (ZEN4, AMX):
        assert choose(ladder, machine, precision="bf16").precision == "bf16"
