"""Sessions: shared by threads, alike whatever shares the batch, clear about what does not fit."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from contanos.errors import ModelError, SettingError
from contanos.models.onnxruntime import OnnxRuntimeSession, providers
from contanos.models.runtime import Runtime, Session, open_session

CROPS = np.random.default_rng(3).normal(size=(4, 3, 256, 192)).astype(np.float32)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def session(request: pytest.FixtureRequest, rtmpose_s: Path) -> Session:
    """The pose model in f32, two calls at once."""
    runtime: Runtime = request.param
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="the openvino extra is not installed")
    return open_session(rtmpose_s, runtime, "f32", 2)


def test_threads_share_a_session_and_a_batch_changes_nothing(session: Session) -> None:
    alone = [session.run({"input": CROPS[k : k + 1]}) for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        reversed_batch = pool.submit(session.run, {"input": CROPS[::-1].copy()})
        again = list(pool.map(lambda k: session.run({"input": CROPS[k : k + 1]}), range(4)))
    for k in range(4):
        for first, second, batched in zip(alone[k], again[k], reversed_batch.result(), strict=True):
            np.testing.assert_array_equal(first, second)
            np.testing.assert_array_equal(first, batched[3 - k : 4 - k])


def test_results_are_the_callers_to_keep(session: Session) -> None:
    first = session.run({"input": CROPS[:1]})
    kept = [each.copy() for each in first]
    session.run({"input": CROPS[1:2]})
    for each, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(each, before)


@pytest.mark.parametrize(
    "inputs",
    [{"input": CROPS[:, :2]}, {"image": CROPS}, {}],
    ids=["wrong shape", "wrong name", "no input"],
)
def test_inputs_that_do_not_fit_are_refused(
    session: Session, inputs: dict[str, np.ndarray]
) -> None:
    with pytest.raises(ModelError, match="inputs that the model does not take"):
        session.run(inputs)


def test_more_shapes_than_are_kept_compiled_still_run() -> None:
    openvino = pytest.importorskip("openvino", reason="the openvino extra is not installed")
    assert openvino.Core().available_devices
    ends = [helper.make_tensor_value_info(name, 1, ["n", "w"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    session = open_session(model, "openvino", "f32", 1)
    for width in [*range(1, 12), *range(1, 12)]:
        values = -np.arange(2 * width, dtype=np.float32).reshape(2, width)
        np.testing.assert_array_equal(session.run({"x": values})[0], -values)


def test_runtimes_agree(rtmpose_s: Path) -> None:
    pytest.importorskip("openvino", reason="the openvino extra is not installed")
    one, other = (
        open_session(rtmpose_s, runtime, "f32", 1).run({"input": CROPS})
        for runtime in ("onnxruntime", "openvino")
    )
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-3 * np.abs(left).max())


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_file_that_is_no_model_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="the openvino extra is not installed")
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ModelError, match="cannot"):
        open_session(path, runtime, "f32", 1)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model"):
        open_session(tmp_path / "none.onnx", "onnxruntime", "f32", 1)


def test_without_openvino_the_message_says_how_to_add_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    path = tmp_path / "any.onnx"
    path.touch()
    with pytest.raises(ModelError, match=r"pip install 'contanos\[openvino\]'"):
        open_session(path, "openvino", "f32", 1)


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="0 inference threads"):
        open_session(tmp_path, "onnxruntime", "f32", 0)
    with pytest.raises(SettingError, match="no bf16"):
        open_session(tmp_path, "onnxruntime", "bf16", 1)


def test_the_cpu_is_always_a_provider() -> None:
    assert providers()[-1] == "CPUExecutionProvider"
    assert OnnxRuntimeSession.runtime == "onnxruntime"
