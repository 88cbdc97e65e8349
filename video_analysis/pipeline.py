"""The whole graph on one screen.

    raw frames ─┬─> yolox ──> rtmpose ──> bytetrack ─┬─> annotation ──> MP4
                ├──────────────^                     ├─> results ─────> Parquet
                └──────────────(pixels)──────────────^

`track_first` is the same stages with bytetrack before rtmpose.
"""

from contanos.stage.contract import Task
from contanos.stage.graph import Graph, Step, wire
from video_analysis.annotation.stage import AnnotationStage
from video_analysis.bytetrack.stage import BytetrackStage, settings_for
from video_analysis.job import job_of
from video_analysis.results.stage import ResultsStage
from video_analysis.rtmpose.stage import RtmposeStage
from video_analysis.settings import GraphName
from video_analysis.yolox.stage import YoloxStage

YOLOX = Step(YoloxStage, lambda kit: kit.detector)
RTMPOSE = Step(RtmposeStage, lambda kit: kit.pose)
BYTETRACK = Step(BytetrackStage, lambda kit, task: BytetrackStage(settings_for(task.rate)))
ANNOTATION = Step(AnnotationStage, lambda kit, task: job_of(task).annotation(kit.settings))
RESULTS = Step(ResultsStage, lambda kit, task: job_of(task).results())

CHAINS: dict[GraphName, tuple[Step, ...]] = {
    "pose_first": (YOLOX, RTMPOSE, BYTETRACK),
    "track_first": (YOLOX, BYTETRACK, RTMPOSE),
}

SINKS = (ANNOTATION, RESULTS)


def graph(name: GraphName, video: bool = True) -> Graph:
    """The stages of a task, wired.

    Args:
        name: which order.
        video: whether the annotated video is wanted.
    """
    wanted = [sink for sink in SINKS if video or sink is not ANNOTATION]
    return wire(name, CHAINS[name], wanted)


def graph_of(task: Task) -> Graph:
    """The graph that a task's options ask for."""
    options = job_of(task).options
    return graph(options.graph, options.video)
