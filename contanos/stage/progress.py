"""How far a task is: read from what its stages have committed, so it is true whatever dies."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from contanos.bus.contract import Bus, Position, TopicPartition
from contanos.messages import Reason
from contanos.stage.contract import Task
from contanos.stage.graph import Graph, Node
from contanos.stage.lane import WORST_LAST, LaneKey, leading
from contanos.stage.mark import Mark, from_note


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage's part in a task, over all its partitions.

    Attributes:
        done: frames that it put out.
        failed: of these, the ones that it, or a stage before it, could not process.
        seconds: time that it spent in `process`.
        end: why the stream ended, once it has nothing left to do.
        frames: how many the stream had, then.
    """

    done: int
    failed: int
    seconds: float
    end: Reason | None
    frames: int | None


Progress = dict[str, StageProgress]
"""By stage, in the order of the flow."""

Positions = Mapping[str, Mapping[TopicPartition, Position]]
"""What each group has committed, for all tasks."""


def positions_of(bus: Bus, *graphs: Graph) -> Positions:
    """What the groups of `graphs` have committed: one question to the bus for each."""
    groups = sorted({node.group for graph in graphs for node in graph.nodes})
    return {group: bus.positions(group) for group in groups}


def progress_of(positions: Positions, graph: Graph, task: Task) -> Progress:
    """How far every stage of `graph` is with `task`."""
    return {node.stage: _stage(positions[node.group], graph, node, task) for node in graph.nodes}


def _stage(
    positions: Mapping[TopicPartition, Position], graph: Graph, node: Node, task: Task
) -> StageProgress:
    count = graph.partitions(node.results, task.partitions)
    sources = [leading(node, LaneKey(task.task_id, i)) for i in range(count)]
    marks = [from_note(positions[each].note) if each in positions else Mark() for each in sources]
    ends = [mark.end for mark in marks]
    return StageProgress(
        done=sum(mark.done for mark in marks),
        failed=sum(mark.failed for mark in marks),
        seconds=sum(mark.seconds for mark in marks),
        end=_worst(ends),
        frames=max((mark.frames or 0 for mark in marks), default=0) if all(ends) else None,
    )


def ended(progress: Progress, stages: Collection[str]) -> bool:
    """Whether every one of `stages` has nothing left to do."""
    return all(progress[stage].end for stage in stages)


def _worst(ends: Collection[Reason | None]) -> Reason | None:
    """None while one goes on; otherwise the reason that says most."""
    if not all(ends):
        return None
    return max((each for each in ends if each), key=WORST_LAST.index)
