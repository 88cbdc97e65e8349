"""The whole graph on one screen.

    raw frames ─┬─> yolox ──> rtmpose ──> bytetrack ─┬─> annotation ──> MP4
                ├──────────────^                     ├─> results ─────> Parquet
                └──────────────(pixels)──────────────^

`track_first` is the same stages with bytetrack before rtmpose. Where faces are to be hidden,
faceblur is the last stage before the outputs.
"""

from collections.abc import Iterable
from functools import cache
from typing import get_args

from contanos.stage.contract import Task
from contanos.stage.graph import Graph, Step, wire
from video_analysis.annotation.stage import AnnotationStage
from video_analysis.bytetrack.stage import BytetrackStage, settings_for
from video_analysis.faceblur.stage import FaceBlurStage
from video_analysis.job import job_of
from video_analysis.results.stage import ResultsStage
from video_analysis.rtmpose.stage import RtmposeStage
from video_analysis.settings import GraphName, Options
from video_analysis.yolox.stage import YoloxStage

YOLOX = Step(YoloxStage, lambda kit: kit.detector)
RTMPOSE = Step(RtmposeStage, lambda kit: kit.pose)
BYTETRACK = Step(BytetrackStage, lambda kit, task: BytetrackStage(settings_for(task.rate)))
FACEBLUR = Step(FaceBlurStage)
ANNOTATION = Step(AnnotationStage, lambda kit, task: job_of(task).annotation(kit.settings))
RESULTS = Step(ResultsStage, lambda kit, task: job_of(task).results())

CHAINS: dict[GraphName, tuple[Step, ...]] = {
    "pose_first": (YOLOX, RTMPOSE, BYTETRACK),
    "track_first": (YOLOX, BYTETRACK, RTMPOSE),
}

SINKS = (ANNOTATION, RESULTS)


@cache
def graph(name: GraphName, video: bool = True, blur: bool = False) -> Graph:
    """The stages of a task, wired.

    With `blur` the outputs read another topic, so they have groups of their own; the stages before
    are the same, and so are their groups.

    Args:
        name: which order.
        video: whether the annotated video is wanted.
        blur: whether faces are to be hidden.
    """
    wanted = [sink for sink in SINKS if video or sink is not ANNOTATION]
    if not blur:
        return wire(name, CHAINS[name], wanted)
    return wire(f"{name}_blur", (*CHAINS[name], FACEBLUR), wanted, trunk=graph(name, video))


def graphs(names: Iterable[GraphName] = get_args(GraphName)) -> list[Graph]:
    """All that tasks with a graph of these names may have."""
    return [graph(name, blur=blur) for name in names for blur in (False, True)]


def graph_for(options: Options) -> Graph:
    """The graph that options ask for."""
    return graph(options.graph, options.video, options.blur)


def graph_of(task: Task) -> Graph:
    """The graph of a task."""
    return graph_for(job_of(task).options)
