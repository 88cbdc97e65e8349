"""Puts a graph's stages and their runners together in one process."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from contanos.bus import Bus
from contanos.bus.topics import RAW_FRAMES, topic_name
from contanos.stage.batch_runner import BatchRunner
from contanos.stage.contract import BatchStage, Task
from contanos.stage.graph import Graph, Node, Step
from contanos.stage.meter import Meter
from contanos.stage.runner import Runner
from contanos.stage.task_runner import TaskRunner
from contanos.stage.tasks import Tasks
from video_analysis.job import job_of
from video_analysis.models.load import open_detector, open_pose
from video_analysis.models.shelf import ByModel
from video_analysis.pipeline import graph_of
from video_analysis.results.metadata import ModelUsed
from video_analysis.results.stage import FRAMES_PER_PART
from video_analysis.settings import Settings


@dataclass(frozen=True, slots=True)
class Kit:
    """What stages are made from.

    Attributes:
        detector: all tasks' detectors.
        pose: all tasks' pose models.
        settings: of the installation.
    """

    detector: ByModel
    pose: ByModel
    settings: Settings


def make_kit(models: Sequence[ModelUsed], settings: Settings, load: bool = True) -> Kit:
    """Stages whose default models are `models`: a detector and a pose model.

    Raises:
        ModelError: a model cannot be had.
        SettingError: one cannot run on this machine.
    """
    threads = settings.workers
    detector, pose = models
    kit = Kit(
        ByModel(detector, lambda task: job_of(task).detector, lambda m: open_detector(m, threads)),
        ByModel(pose, lambda task: job_of(task).pose, lambda m: open_pose(m, threads)),
        settings,
    )
    if load:
        kit.detector.load()
        kit.pose.load()
    return kit


@dataclass(frozen=True, slots=True)
class Assembly:
    """Builds the runners of graphs.

    Attributes:
        bus: what they talk over.
        tasks: the registry that they share.
        kit: what their stages are made from.
        pool: where inference runs.
        meter: what counts their work.
    """

    bus: Bus
    tasks: Tasks
    kit: Kit
    pool: Executor
    meter: Meter = field(default_factory=Meter)

    def runners(
        self, graphs: Sequence[Graph], stages: Collection[str] | None = None
    ) -> list[Callable[[], Runner]]:
        """One factory for each stage's place, in the order of the flow.

        Args:
            graphs: the tasks of others are left alone; a place that several have is one.
            stages: those wanted; None for all.
        """
        places = {node: graph.steps[node.stage] for graph in graphs for node in graph.nodes}
        return [
            self._factory(node, step)
            for node, step in places.items()
            if stages is None or node.stage in stages
        ]

    def _factory(self, node: Node, step: Step) -> Callable[[], Runner]:
        bus, tasks, kit, meter = self.bus, self.tasks, self.kit, self.meter

        def wants(task: Task) -> bool:
            return node in graph_of(task).nodes

        if issubclass(step.stage, BatchStage):
            stage, width = step.batch_stage(kit), kit.settings.workers + 1
            return lambda: BatchRunner(bus, node, tasks, stage, self.pool, width, meter, wants)
        return lambda: TaskRunner(
            bus, node, tasks, lambda task: step.task_stage(kit, task), meter, wants
        )


def create_topics(bus: Bus, graph: Graph, task: Task, in_flight: int) -> None:
    """The topics that a task owns, with room for what flies and what waits for its part."""
    capacity = 2 * in_flight + 2 * FRAMES_PER_PART
    for stage in (None, *(node.stage for node in graph.nodes if node.output)):
        name = topic_name(stage or RAW_FRAMES, task.task_id)
        bus.create_topic(name, graph.topic(stage, task.partitions, capacity))


def delete_topics(bus: Bus, graph: Graph, task_id: str) -> None:
    """Everything that `create_topics` made; again does no harm."""
    for stage in (RAW_FRAMES, *(node.stage for node in graph.nodes if node.output)):
        bus.delete_topic(topic_name(stage, task_id))
