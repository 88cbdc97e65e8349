"""Calibration sees what the model is fed, and the same variations every time."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contanos.models.record import Recorder, varied
from contanos.models.runtime import Array, Runtime


class Doubling:
    """A session that answers twice its input."""

    runtime: Runtime = "onnxruntime"
    device = "CPU"

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        return [inputs["x"] * 2]


def test_inputs_are_kept_as_they_were_up_to_the_limit() -> None:
    recorder = Recorder(Doubling(), limit=2)
    buffer = np.zeros(3, np.float32)
    for k in range(4):
        buffer[:] = k
        np.testing.assert_array_equal(recorder.run({"x": buffer})[0], 2 * buffer)
    np.testing.assert_array_equal(recorder.batches, [[0, 0, 0], [1, 1, 1]])


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_variation_is_a_part_of_the_picture_and_repeats(
    height: int, width: int, seed: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    first = varied(picture, seed)
    assert 0 < first.shape[0] <= height
    assert 0 < first.shape[1] <= width
    np.testing.assert_array_equal(first, varied(picture, seed))


def test_variations_differ() -> None:
    picture = np.full((64, 64, 3), 128, np.uint8)
    assert len({varied(picture, seed).tobytes() for seed in range(8)}) == 8
