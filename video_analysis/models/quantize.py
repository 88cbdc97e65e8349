"""Makes a calibration table: what `contanos models quantize` runs.

The float model watches frames of freely licensed videos. Which convolutions stay in float is found
in one pass: each alone is put into 8 bits, and those by which the outputs on frames held out change
most are kept.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import onnx
from msgspec.structs import replace

from contanos.errors import ModelError
from contanos.geometry import Floats
from contanos.models.calibration import Calibration, calibrate, derive
from contanos.models.manifest import Asset
from contanos.models.quantize import chosen
from contanos.models.runtime import Array, open_session
from video_analysis.models.examples import (
    VARIATIONS,
    Clip,
    Say,
    float_graph,
    halves,
    inputs,
    variations,
)
from video_analysis.settings import usable_cores

_HELD_OUT = 16  # inputs that each convolution is tried on


def make_table(
    asset: Asset, clips: Sequence[Clip], frames: int, keep: int, say: Say = print
) -> Calibration:
    """The calibration table of a detector or pose model; the same arguments make the same table.

    Args:
        asset: a model of the manifest.
        clips: freely licensed videos with people, and none that a score is taken on.
        frames: of each clip, at most; memory grows with them.
        keep: how many convolutions stay in float, beside those that always do.
        say: told what is done.

    Raises:
        ModelError: the model cannot be had, or nobody is seen in the clips.
        SettingError: `asset` is not a model.
        InputError: a clip cannot be read.
    """
    graph = float_graph(asset)
    watched, held_out = halves(clips, frames)
    seen, trials = inputs(asset, chain(watched, variations(watched))), inputs(asset, held_out)
    if not trials:
        raise ModelError(f"nobody is seen in the clips, so {asset.name} has nothing to learn from")
    say(f"{asset.name} watches {len(seen)} inputs from {len(watched)} frames")
    about = (
        f"{len(watched)} frames of {', '.join(clip.about for clip in clips)}, "
        f"each also in {VARIATIONS} variations"
    )
    centred = asset.about["task"] == "pose"
    table = calibrate(graph, seen, sha256=asset.sha256, frames=about, centred=centred)
    return _keeping(graph, table, _evenly(trials, _HELD_OUT), keep, say)


def sensitivities(
    graph: onnx.ModelProto, table: Calibration, trials: Sequence[Array]
) -> dict[str, float]:
    """How far the outputs move when one convolution alone is in 8 bits, by its output's name.

    Args:
        graph: float, as `float_graph` gives it.
        table: with ranges of all convolutions.
        trials: inputs that `table` was not made from.

    Returns:
        The distance between the outputs in 8 bits and in float, relative to the latter's norm.
    """
    names = _convolutions(graph, table)
    exact = _outputs(graph, trials)

    def alone(name: str) -> float:
        others = replace(table, keep=[each for each in names if each != name])
        return _distance(exact, _outputs(_in_8_bits(graph, others), trials))

    with ThreadPoolExecutor(usable_cores()) as pool:
        return dict(zip(names, pool.map(alone, names), strict=True))


def _keeping(
    graph: onnx.ModelProto, table: Calibration, trials: Sequence[Array], keep: int, say: Say
) -> Calibration:
    """`table` with the `keep` most sensitive convolutions in float, and no range they alone use."""
    if keep == 0:
        return table
    say(f"each convolution alone in 8 bits, on {len(trials)} inputs held out ...")
    found = sensitivities(graph, table, trials)
    worst = sorted(found, key=lambda name: -found[name])[:keep]
    kept = replace(table, keep=worst)
    used = {
        name
        for conv in chosen(derive(graph, "bf16", "openvino", table).graph, frozenset(worst))
        for name in (conv.input[0], conv.output[0])
    }
    say(f"kept in float: {', '.join(f'{name} ({found[name]:.2%})' for name in worst)}")
    exact = _outputs(graph, trials)
    before, after = (
        _distance(exact, _outputs(_in_8_bits(graph, each), trials)) for each in (table, kept)
    )
    say(f"outputs differ from f32 by {after:.2%}; with none kept by {before:.2%}")
    return replace(kept, ranges={name: kept.ranges[name] for name in kept.ranges if name in used})


def _convolutions(graph: onnx.ModelProto, table: Calibration) -> list[str]:
    centred = derive(graph, "bf16", "openvino", table)
    return [conv.output[0] for conv in chosen(centred.graph)]


def _in_8_bits(graph: onnx.ModelProto, table: Calibration) -> onnx.ModelProto:
    return derive(graph, "int8", "openvino", table)


def _outputs(graph: onnx.ModelProto, trials: Sequence[Array]) -> list[Floats]:
    """Computed by onnxruntime, which runs this kind of 8-bit graph exactly, on every CPU."""
    session = open_session(graph, "onnxruntime", "int8", 1)
    name = graph.graph.input[0].name
    return [_telling(session.run({name: each})) for each in trials]


def _telling(outputs: Sequence[Array]) -> Floats:
    """What of a model's outputs decides: SimCC vectors as they are, a grid's boxes by score."""
    if len(outputs) > 1:
        return np.concatenate([each.ravel() for each in outputs])
    (grid,) = outputs
    score = grid[..., 4:5] * grid[..., 5:6]
    return np.concatenate([grid[..., :4] * score, score], axis=-1).ravel()


def _distance(exact: Sequence[Floats], found: Sequence[Floats]) -> float:
    moved = sum(float(np.square(a - b).sum()) for a, b in zip(exact, found, strict=True))
    return float(np.sqrt(moved / sum(float(np.square(a).sum()) for a in exact)))


def _evenly(trials: Sequence[Array], most: int) -> list[Array]:
    at = np.linspace(0, len(trials) - 1, min(most, len(trials))).round().astype(int)
    return [trials[index] for index in at]
