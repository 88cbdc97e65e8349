"""First calls from many threads at once: without care OpenVINO's binding and the interpreter's lock
wait for each other for ever, in about one process of five."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

PROCESSES = 4
SCRIPT = """
import os, sys, threading
import numpy as np
from onnx import TensorProto, helper
from contanos.models.openvino import OpenVinoSession

sys.setswitchinterval(1e-5)
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "toy", values[:1], values[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
session = OpenVinoSession(model.SerializeToString(), "f32", 2)
together = threading.Barrier(5)

def call(length):
    together.wait()
    for _ in range(20):
        session.run({"x": np.zeros(length, np.float32)})

threads = [threading.Thread(target=call, args=(8 + i % 2,), daemon=True) for i in range(4)]
for thread in threads:
    thread.start()
together.wait()
for thread in threads:
    thread.join(20)
os._exit(any(thread.is_alive() for thread in threads))
"""


@pytest.mark.parametrize("attempt", range(PROCESSES))
def test_the_first_calls_do_not_wait_for_each_other(attempt: int) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
