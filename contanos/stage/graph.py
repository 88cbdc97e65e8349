"""Graphs: stages in a row, each reading the results of the one before, and sinks at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
        stage: its name, which is also its topic and its consumer group.
        results: the stage whose results it reads; None for the first, which reads raw frames only.
        frames: whether it reads the pixels too.
        output: whether it writes results for others.
    """

    stage: str
    results: str | None
    frames: bool = True
    output: bool = True


@dataclass(frozen=True, slots=True)
class Graph:
    """Stages and how they are wired, in the order of the flow.

    Attributes:
        nodes: each stage's place.
        steps: how each is made, by name.
    """

    nodes: Sequence[Node]
    steps: Mapping[str, Step] = field(default_factory=dict)

    @property
    def last(self) -> str:
        """The stage whose results the sinks read."""
        return next(node.stage for node in reversed(self.nodes) if node.output)

    @property
    def sinks(self) -> set[str]:
        """The stages that nobody reads: the task is over when they are."""
        return {node.stage for node in self.nodes if not node.output}

    @property
    def readers(self) -> list[str]:
        """The stages that read raw frames."""
        return [node.stage for node in self.nodes if node.frames]


def wire(chain: Sequence[Step], sinks: Sequence[Step]) -> Graph:
    """The graph in which each of `chain` reads the one before it, and `sinks` read the last.

    Raises:
        ValueError: a stage's topics could be taken for another's.
    """
    _require_distinct([step.stage.name for step in (*chain, *sinks)])
    names: list[str | None] = [None, *(step.stage.name for step in chain)]
    nodes = [
        Node(step.stage.name, before, frames=step.stage.pixels)
        for before, step in zip(names, chain, strict=False)
    ]
    nodes += [Node(step.stage.name, names[-1], step.stage.pixels, output=False) for step in sinks]
    return Graph(nodes, {step.stage.name: step for step in (*chain, *sinks)})


def _require_distinct(names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        for other in (*names[:i], *names[i + 1 :]):
            if f"{other}_".startswith(f"{name}_"):
                raise ValueError(f"stages {name} and {other}: one name begins the other")
