"""Runs a `BatchStage`: batches over all tasks, several at once, results in order."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from contanos.bus.contract import Bus
from contanos.messages import FrameResult
from contanos.stage.contract import BatchStage, Item, Task
from contanos.stage.graph import Node
from contanos.stage.lane import Lane, LaneKey, Slot
from contanos.stage.meter import Meter
from contanos.stage.runner import Runner
from contanos.stage.tasks import Tasks

Answer = tuple[FrameResult | Exception, float]
"""What came of an item, and the seconds that it took."""


class BatchRunner(Runner):
    """Batches fill across tasks, which take turns; each lane's results leave in its own order.

    Args:
        pool: where `process` runs; stages of one process share it.
        width: batches that may be on their way at once.
    """

    def __init__(
        self,
        bus: Bus,
        node: Node,
        tasks: Tasks,
        stage: BatchStage,
        pool: Executor,
        width: int,
        meter: Meter | None = None,
        wants: Callable[[Task], bool] = lambda _: True,
    ) -> None:
        super().__init__(bus, node, tasks, meter, wants)
        self._stage = stage
        self._pool = pool
        self._width = width
        self._ready: list[Slot] = []
        self._ready_since = 0.0
        self._running: dict[Future[list[Answer]], list[Slot]] = {}
        self._uncommitted: set[LaneKey] = set()

    def patience(self) -> float:
        now = time.monotonic()
        waits = [self.idle]
        if self._ready and len(self._running) < self._width:
            waits.append(self._ready_since + self._stage.linger - now)
        waits += [self._commit_due(self.lanes[key]) - now for key in self._uncommitted]
        return max(0.0, min(waits))

    def work(self) -> None:
        self._collect()
        self._gather()
        while self._ready and len(self._running) < self._width and self._worth_starting():
            self._start(self._next_batch())
        for lane in list(self.lanes.values()):
            self._emit(lane)

    def drop(self, key: LaneKey) -> None:
        super().drop(key)
        self._uncommitted.discard(key)
        self._ready = [each for each in self._ready if each.lane.open]

    def _gather(self) -> None:
        """Take what is complete from each lane in turn, as much as the next batches can use."""
        lanes = [lane for lane in self.lanes.values() if not self._cut(lane)]
        room = 2 * self._stage.batch_size * self._width - len(self._ready)
        while lanes and room > 0:
            for lane in list(lanes):
                if slot := lane.take():
                    self._admit(slot)
                    room -= 1
                else:
                    lanes.remove(lane)

    def _cut(self, lane: Lane) -> bool:
        """Whether a cancelled task ends here: no inference of a frame begins, in any stage."""
        if not self._tasks.cancelled(lane.task.task_id):
            return False
        lane.cut()
        return True

    def _admit(self, slot: Slot) -> None:
        if slot.item.result.error is not None:
            slot.result = slot.item.result
            return
        if not self._ready:
            self._ready_since = time.monotonic()
        self._ready.append(slot)

    def _worth_starting(self) -> bool:
        units = sum(self._stage.units(slot.item) for slot in self._ready)
        waited = time.monotonic() - self._ready_since
        full = units == 0 or units >= self._stage.batch_size
        return full or waited >= self._stage.linger or self._closing()

    def _closing(self) -> bool:
        return all(lane.closing for lane in self.lanes.values())

    def _next_batch(self) -> list[Slot]:
        units, count = 0, 0
        while count < len(self._ready) and units < self._stage.batch_size:
            units += self._stage.units(self._ready[count].item)
            count += 1
        batch, self._ready = self._ready[:count], self._ready[count:]
        self._ready_since = time.monotonic()
        self._meter.batch(self.node.stage, units)
        return batch

    def _start(self, batch: list[Slot]) -> None:
        future = self._pool.submit(self._answers, [slot.item for slot in batch])
        self._running[future] = batch
        future.add_done_callback(lambda _: self._consumer.wakeup())

    def _answers(self, items: Sequence[Item]) -> list[Answer]:
        """Runs in the pool. A batch that fails is tried item by item, so that frames fail alone."""
        started = time.perf_counter()
        try:
            found = [each for _, each in zip(items, self._stage.process(items), strict=True)]
        except Exception as e:  # a stage's fault is the frame's, not the worker's
            if len(items) == 1:
                return [(e, time.perf_counter() - started)]
            return [self._answers([item])[0] for item in items]
        share = (time.perf_counter() - started) / len(items)
        return [(each, share) for each in found]

    def _collect(self) -> None:
        for future in [each for each in self._running if each.done()]:
            answers = zip(self._running.pop(future), future.result(), strict=True)
            for slot, (answer, seconds) in answers:
                slot.seconds = seconds
                slot.result = self._settled(slot, answer)

    def _settled(self, slot: Slot, answer: FrameResult | Exception) -> FrameResult:
        if isinstance(answer, FrameResult):
            slot.lane.failures = 0
            return answer
        if not slot.lane.open:
            return slot.item.result
        return self.failed(slot.lane, slot.item.result, answer)

    def _emit(self, lane: Lane) -> None:
        """Produce the head of the line as far as it is answered, and commit it in its time."""
        while lane.slots and (result := lane.slots[0].result) is not None:
            self.send(lane.slots[0], result)
            if not lane.open:
                return
            lane.settle()
            self._uncommitted.add(lane.key)
        if lane.key in self._uncommitted and self._commit_due(lane) <= time.monotonic():
            self._uncommitted.discard(lane.key)
            self.commit(lane)

    def _commit_due(self, lane: Lane) -> float:
        return lane.committed_at + self._bus.commit_interval
