"""Puts a graph's stages and their runners together in one process."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from contanos.bus import Bus, TopicSpec
from contanos.bus.topics import RAW_FRAMES, topic_name
from contanos.stage.batch_runner import BatchRunner
from contanos.stage.contract import BatchStage, Task
from contanos.stage.graph import Graph, Node
from contanos.stage.runner import Runner
from contanos.stage.task_runner import TaskRunner
from contanos.stage.tasks import Tasks
from video_analysis.job import Job
from video_analysis.models.load import Models
from video_analysis.results.stage import FRAMES_PER_PART
from video_analysis.settings import Settings


@dataclass(frozen=True, slots=True)
class Kit:
    """What stages are made from.

    Attributes:
        models: the loaded networks.
        settings: of the installation.
        jobs: the job of a task id.
    """

    models: Models
    settings: Settings
    jobs: Callable[[str], Job]

    def job(self, task: Task) -> Job:
        """A task's job."""
        return self.jobs(task.task_id)


@dataclass(frozen=True, slots=True)
class Assembly:
    """Builds the runners of a graph.

    Attributes:
        bus: what they talk over.
        tasks: the registry that they share.
        kit: what their stages are made from.
        pool: where inference runs.
    """

    bus: Bus
    tasks: Tasks
    kit: Kit
    pool: Executor

    def runners(self, graph: Graph) -> list[Callable[[], Runner]]:
        """One factory a stage, in the order of the flow."""
        return [self._factory(graph, node) for node in graph.nodes]

    def create_topics(self, graph: Graph, task_id: str) -> None:
        """The topics that a task owns, with room for what flies and what waits for its part."""
        capacity = 2 * self.kit.settings.frames_in_flight + 2 * FRAMES_PER_PART
        for stage in (RAW_FRAMES, *(node.stage for node in graph.nodes if node.output)):
            self.bus.create_topic(topic_name(stage, task_id), TopicSpec(capacity=capacity))

    def _factory(self, graph: Graph, node: Node) -> Callable[[], Runner]:
        step, bus, tasks, kit = graph.steps[node.stage], self.bus, self.tasks, self.kit
        if issubclass(step.stage, BatchStage):
            stage, width = step.batch_stage(kit), kit.settings.workers + 1
            return lambda: BatchRunner(bus, node, tasks, stage, self.pool, width)
        return lambda: TaskRunner(bus, node, tasks, lambda task: step.task_stage(kit, task))
