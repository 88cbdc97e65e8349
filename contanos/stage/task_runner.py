"""Runs a `TaskStage`: one object a task, frames strictly in order, state kept with its offsets."""

import time
from collections.abc import Callable

import structlog

from contanos.bus.contract import Bus
from contanos.errors import ContanosError
from contanos.messages import EndOfStream
from contanos.stage.contract import Task, TaskStage
from contanos.stage.graph import Node
from contanos.stage.lane import Lane, LaneKey, Slot
from contanos.stage.meter import Meter
from contanos.stage.runner import Runner
from contanos.stage.tasks import Tasks

_FRAMES_A_TURN = 8

log = structlog.get_logger(__name__)

TaskStageFactory = Callable[[Task], TaskStage]


class TaskRunner(Runner):
    """Carries the state of every task that is assigned to it.

    Args:
        make: builds the stage of one task.
    """

    def __init__(
        self,
        bus: Bus,
        node: Node,
        tasks: Tasks,
        make: TaskStageFactory,
        meter: Meter | None = None,
        wants: Callable[[Task], bool] = lambda _: True,
    ) -> None:
        super().__init__(bus, node, tasks, meter, wants)
        self._make = make
        self._stages: dict[LaneKey, TaskStage] = {}
        self._more = False

    def patience(self) -> float:
        return 0.0 if self._more else self.idle

    def open_lane(self, lane: Lane) -> None:
        stage = self._stages[lane.key] = self._make(lane.task)
        state = self._bus.load_state(self.node.group, lane.leading)
        if state is not None:
            stage.restore(state)

    def work(self) -> None:
        self._more = False
        for lane in list(self.lanes.values()):
            for _ in range(_FRAMES_A_TURN):
                if not self.wanted(lane) or (slot := lane.take()) is None:
                    break
                self._process(lane, slot)
            else:
                self._more = True

    def end_lane(self, lane: Lane, end: EndOfStream) -> None:
        try:
            self._stages[lane.key].finish(end)
        except Exception as e:  # one task's output fails alone
            self.fail(lane.key, e)

    def forget_lane(self, lane: Lane) -> None:
        if stage := self._stages.get(lane.key):
            stage.discard()

    def drop(self, key: LaneKey) -> None:
        super().drop(key)
        if stage := self._stages.pop(key, None):
            try:
                stage.close()
            except Exception as e:  # what cannot be closed must not stop the others
                log.warning("not closed", task=key.task_id, stage=self.node.stage, cause=str(e))

    def _process(self, lane: Lane, slot: Slot) -> None:
        stage = self._stages[lane.key]
        started = time.perf_counter()
        try:
            slot.result = stage.process(slot.item)
            lane.failures = 0
        except Exception as e:  # a stage's fault is the frame's, not the worker's
            slot.result = self.failed(lane, slot.item.result, e)
            if not lane.open:
                return
        slot.seconds = time.perf_counter() - started
        self.send(slot, slot.result)
        if not lane.open:
            return
        lane.settle()
        try:
            if stage.checkpoint_due():
                self.commit(lane, stage.snapshot())
        except ContanosError:
            raise
        except Exception as e:  # a state that cannot be saved fails its task, not the worker
            self.fail(lane.key, e)
