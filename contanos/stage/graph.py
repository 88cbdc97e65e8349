"""Graphs: stages in a row, each reading the results of the one before, and sinks at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contanos.bus.contract import TopicSpec
from contanos.stage.contract import BatchStage, TaskStage


@dataclass(frozen=True, slots=True)
class Step:
    """A stage, and how to make one.

    Attributes:
        stage: its class.
        make: for a `BatchStage`, called once with the kit; for a `TaskStage`, called with the kit
            and the task, for every task. By default the class itself, without arguments.
    """

    stage: type[BatchStage] | type[TaskStage]
    make: Callable[..., Any] | None = None

    def batch_stage(self, kit: object) -> BatchStage:
        """The stage that all tasks share."""
        made = self.make(kit) if self.make else self.stage()
        assert isinstance(made, BatchStage)
        return made

    def task_stage(self, kit: object, task: object) -> TaskStage:
        """The stage of one task."""
        made = self.make(kit, task) if self.make else self.stage()
        assert isinstance(made, TaskStage)
        return made


@dataclass(frozen=True, slots=True)
class Node:
    """A stage's place in a graph.

    Attributes:
        stage: its name, which is also its topic.
        group: its consumer group: the stage and the graph.
        results: the stage whose results it reads; None for the first, which reads raw frames only.
        frames: whether it reads the pixels too.
        output: whether it writes results for others.
        split: whether several members may share one task: its leading topic then has the task's
            partitions, otherwise one.
        merges: whether it reads one partition that several members write.
        splits: whether what it writes is read by a stage that is `split`.
    """

    stage: str
    group: str
    results: str | None
    frames: bool = True
    output: bool = True
    split: bool = False
    merges: bool = False
    splits: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """Stages and how they are wired, in the order of the flow.

    Attributes:
        name: of the whole.
        nodes: each stage's place.
        steps: how each is made, by name.
    """

    name: str
    nodes: Sequence[Node]
    steps: Mapping[str, Step] = field(default_factory=dict)

    def partitions(self, stage: str | None, count: int) -> int:
        """How many partitions a stage's topic has in a task with `count`; None: raw frames."""
        leads = [node for node in self.nodes if node.results == stage]
        return count if leads and all(node.split for node in leads) else 1

    def topic(self, stage: str | None, count: int, capacity: int) -> TopicSpec:
        """How a stage's topic is made in a task with `count` partitions; None: raw frames."""
        stateful = any(node.results == stage and not node.split for node in self.nodes)
        return TopicSpec(
            self.partitions(stage, count), capacity, self.readers_of(stage), states=stateful
        )

    def readers_of(self, stage: str | None) -> tuple[str, ...]:
        """The consumer groups that read a stage's topic; None: raw frames."""
        return tuple(
            node.group
            for node in self.nodes
            if node.results == stage or (stage is None and node.frames)
        )

    @property
    def last(self) -> str:
        """The stage whose results the sinks read."""
        return next(node.stage for node in reversed(self.nodes) if node.output)

    @property
    def sinks(self) -> set[str]:
        """The stages that nobody reads: the task is over when they are."""
        return {node.stage for node in self.nodes if not node.output}


def wire(
    name: str, chain: Sequence[Step], sinks: Sequence[Step], trunk: Graph | None = None
) -> Graph:
    """The graph in which each of `chain` reads the one before it, and `sinks` read the last.

    Args:
        name: of the graph, and the end of its groups' names.
        chain: the stages in the order of the flow.
        sinks: those that nobody reads.
        trunk: a graph that it branches off from: stages that read and write the same in both have
            one place, one group, and so the same workers.

    Raises:
        ValueError: a stage's topics could be taken for another's.
    """
    _require_distinct([step.stage.name for step in (*chain, *sinks)])
    befores: list[Step | None] = [None, *chain]
    follows = [[each] for each in chain[1:]] + [list(sinks)]
    nodes = [
        _node(name, step, before, after)
        for before, step, after in zip(befores, chain, follows, strict=False)
    ]
    nodes += [_node(name, step, chain[-1], []) for step in sinks]
    if trunk:
        nodes = [_in_trunk(trunk, node) or node for node in nodes]
    return Graph(name, nodes, {step.stage.name: step for step in (*chain, *sinks)})


def _node(graph: str, step: Step, before: Step | None, after: Sequence[Step]) -> Node:
    split = _stateless(step)
    return Node(
        stage=step.stage.name,
        group=f"{step.stage.name}-{graph}",
        results=before.stage.name if before else None,
        frames=step.stage.pixels,
        output=bool(after),
        split=split,
        merges=before is not None and _stateless(before) and not split,
        splits=bool(after) and all(_stateless(each) for each in after),
    )


def _in_trunk(trunk: Graph, node: Node) -> Node | None:
    """The place there that differs from `node` in its group at most."""
    return next((each for each in trunk.nodes if replace(node, group=each.group) == each), None)


def _stateless(step: Step) -> bool:
    return issubclass(step.stage, BatchStage)


def _require_distinct(names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        for other in (*names[:i], *names[i + 1 :]):
            if f"{other}_".startswith(f"{name}_"):
                raise ValueError(f"stages {name} and {other}: one name begins the other")
