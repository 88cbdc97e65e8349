"""Runs a `TaskStage`: one object a task, frames strictly in order, state kept with its offsets."""

import time
from collections.abc import Callable

import msgspec
import structlog

from contanos.bus.contract import Bus, TopicPartition
from contanos.errors import ContanosError
from contanos.messages import EndOfStream
from contanos.stage.contract import Task, TaskStage
from contanos.stage.graph import Node
from contanos.stage.lane import Lane, Slot
from contanos.stage.runner import Runner
from contanos.stage.tasks import Tasks

_FRAMES_A_TURN = 8

log = structlog.get_logger(__name__)

TaskStageFactory = Callable[[Task], TaskStage]


class Checkpoint(msgspec.Struct, frozen=True):
    """A stage's state, and the frame that it is to see next."""

    next_frame_id: int
    state: bytes


class TaskRunner(Runner):
    """Carries the state of every task that is assigned to it.

    Args:
        make: builds the stage of one task.
    """

    def __init__(self, bus: Bus, node: Node, tasks: Tasks, make: TaskStageFactory) -> None:
        super().__init__(bus, node, tasks)
        self._make = make
        self._stages: dict[str, TaskStage] = {}
        self._uncommitted: dict[str, dict[TopicPartition, int]] = {}
        self._more = False

    def patience(self) -> float:
        return 0.0 if self._more else self.idle

    def open_lane(self, task_id: str) -> Lane | None:
        if (task := self._tasks.get(task_id)) is None:
            return None
        stage = self._stages[task_id] = self._make(task)
        next_frame_id = 0
        if saved := self._bus.load_state(self._key(task_id)):
            checkpoint = msgspec.msgpack.decode(saved, type=Checkpoint)
            stage.restore(checkpoint.state)
            next_frame_id = checkpoint.next_frame_id
        return Lane.of(task, self.node, next_frame_id)

    def work(self) -> None:
        self._more = False
        for lane in list(self.lanes.values()):
            for _ in range(_FRAMES_A_TURN):
                task_id = lane.task.task_id
                if self.lanes.get(task_id) is not lane or self._tasks.failure(task_id):
                    break
                if (slot := lane.take()) is None:
                    break
                self._process(lane, slot)
            else:
                self._more = True

    def end_lane(self, lane: Lane, end: EndOfStream) -> None:
        try:
            self._stages[end.task_id].finish(end)
        except Exception as e:  # one task's output fails alone
            self.fail(end.task_id, e)

    def forget_lane(self, lane: Lane) -> None:
        task_id = lane.task.task_id
        self._bus.delete_state(self._key(task_id))
        if stage := self._stages.get(task_id):
            stage.discard()

    def drop(self, task_id: str) -> None:
        super().drop(task_id)
        self._uncommitted.pop(task_id, None)
        if stage := self._stages.pop(task_id, None):
            try:
                stage.close()
            except Exception as e:  # what cannot be closed must not stop the others
                log.warning("not closed", task_id=task_id, stage=self.node.stage, cause=str(e))

    def _process(self, lane: Lane, slot: Slot) -> None:
        task_id = lane.task.task_id
        stage = self._stages[task_id]
        started = time.perf_counter()
        try:
            result = stage.process(slot.item)
            lane.failures = 0
        except Exception as e:  # a stage's fault is the frame's, not the worker's
            result = self.failed(lane, slot.item.result, e)
        self._tasks.spend(task_id, self.node.stage, time.perf_counter() - started)
        lane.slots.popleft()
        self.send(result)
        self._uncommitted.setdefault(task_id, {}).update(slot.offsets)
        try:
            if stage.checkpoint_due():
                self._checkpoint(lane, stage.snapshot())
        except ContanosError:
            raise
        except Exception as e:  # a state that cannot be saved fails its task, not the worker
            self.fail(task_id, e)

    def _checkpoint(self, lane: Lane, state: bytes) -> None:
        task_id = lane.task.task_id
        self._producer.flush()
        checkpoint = Checkpoint(lane.join.next_frame_id, state)
        self._bus.save_state(self._key(task_id), msgspec.msgpack.encode(checkpoint))
        self.commit(self._uncommitted.pop(task_id))

    def _key(self, task_id: str) -> str:
        return f"{self.node.stage}_{task_id}"
