"""The first measured step that the machine can take, never one it cannot."""

import pytest

from contanos.errors import SettingError
from contanos.models.choose import Machine, Step, choose, this_machine

LADDER = (
    Step("onnxruntime", "f32", "a GPU", needs="GPU"),
    Step("openvino", "bf16", "bf16 units", needs="BF16"),
    Step("openvino", "int8", "8 bits", needs="INT8"),
    Step("onnxruntime", "f32", "runs everywhere"),
    Step("onnxruntime", "int8", "less accurate", auto=False),
)
AVX2 = Machine(gpu=False, openvino=frozenset({"FP32", "INT8"}))
AMX = Machine(gpu=False, openvino=frozenset({"FP32", "INT8", "BF16"}))
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
