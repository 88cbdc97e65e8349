"""Runs a `BatchStage`: batches over all tasks, several at once, results in order."""

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future

from contanos.bus.contract import Bus, TopicPartition
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.contract import BatchStage, Item
from contanos.stage.graph import Node
from contanos.stage.lane import Lane, Slot
from contanos.stage.runner import Runner
from contanos.stage.tasks import Tasks

Answer = FrameResult | Exception


class BatchRunner(Runner):
    """Batches fill across tasks, which take turns; each task's results leave in its own order.

    Args:
        pool: where `process` runs; stages of one process share it.
        width: batches that may be on their way at once.
    """

    def __init__(
        self, bus: Bus, node: Node, tasks: Tasks, stage: BatchStage, pool: Executor, width: int
    ) -> None:
        super().__init__(bus, node, tasks)
        self._stage = stage
        self._pool = pool
        self._width = width
        self._ready: list[Slot] = []
        self._ready_since = 0.0
        self._running: dict[Future[list[Answer]], list[Slot]] = {}

    def patience(self) -> float:
        if not self._ready or len(self._running) >= self._width:
            return self.idle
        return max(0.0, self._ready_since + self._stage.linger - time.monotonic())

    def work(self) -> None:
        self._collect()
        self._gather()
        while self._ready and len(self._running) < self._width and self._worth_starting():
            self._start(self._next_batch())
        for lane in list(self.lanes.values()):
            self._emit(lane)

    def drop(self, task_id: str) -> None:
        super().drop(task_id)
        self._ready = [each for each in self._ready if each.item.task.task_id != task_id]

    def _gather(self) -> None:
        """Take what is complete from each lane in turn, as much as the next batches can use."""
        lanes = list(self.lanes.values())
        room = 2 * self._stage.batch_size * self._width - len(self._ready)
        while lanes and room > 0:
            for lane in list(lanes):
                slot = None if self._cut(lane) else lane.take()
                if slot is None:
                    lanes.remove(lane)
                else:
                    self._admit(slot)
                    room -= 1

    def _cut(self, lane: Lane) -> bool:
        """Whether a cancelled task ends here: the first stage begins no new frame of it."""
        task_id = lane.task.task_id
        first = self.node.results is None
        if not first or not lane.join.started or not self._tasks.cancelled(task_id):
            return False
        frames = lane.join.next_frame_id
        lane.cut(EndOfStream(task_id=task_id, frames=frames, reason="cancelled"))
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
        return full or waited >= self._stage.linger or self._ending()

    def _ending(self) -> bool:
        return all(lane.end is not None for lane in self.lanes.values())

    def _next_batch(self) -> list[Slot]:
        units, count = 0, 0
        while count < len(self._ready) and units < self._stage.batch_size:
            units += self._stage.units(self._ready[count].item)
            count += 1
        batch, self._ready = self._ready[:count], self._ready[count:]
        self._ready_since = time.monotonic()
        return batch

    def _start(self, batch: list[Slot]) -> None:
        future = self._pool.submit(self._answers, [slot.item for slot in batch])
        self._running[future] = batch
        future.add_done_callback(lambda _: self._consumer.wakeup())

    def _answers(self, items: Sequence[Item]) -> list[Answer]:
        """Runs in the pool. A batch that fails is tried item by item, so that frames fail alone."""
        started = time.perf_counter()
        try:
            answers: list[Answer] = [
                answer for _, answer in zip(items, self._stage.process(items), strict=True)
            ]
        except Exception as e:  # a stage's fault is the frame's, not the worker's
            return [e] if len(items) == 1 else [self._answers([item])[0] for item in items]
        share = (time.perf_counter() - started) / len(items)
        for item in items:
            self._tasks.spend(item.task.task_id, self.node.stage, share)
        return answers

    def _collect(self) -> None:
        for future in [each for each in self._running if each.done()]:
            for slot, answer in zip(self._running.pop(future), future.result(), strict=True):
                slot.result = self._settled(slot, answer)

    def _settled(self, slot: Slot, answer: Answer) -> FrameResult:
        lane = self.lanes.get(slot.item.task.task_id)
        if isinstance(answer, FrameResult):
            if lane:
                lane.failures = 0
            return answer
        return self.failed(lane, slot.item.result, answer) if lane else slot.item.result

    def _emit(self, lane: Lane) -> None:
        """Produce the head of the line as far as it is answered, then commit it."""
        offsets: dict[TopicPartition, int] = {}
        while lane.slots and (result := lane.slots[0].result) is not None:
            self.send(result)
            offsets |= lane.slots.popleft().offsets
        if offsets:
            self.commit(offsets)
