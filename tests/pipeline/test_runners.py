"""The runners on a real bus: order, repeats, faults, crashes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pytest

from contanos.bus import TopicPartition
from contanos.bus.memory import MemoryBus
from contanos.bus.topics import topic_name
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.batch_runner import BatchRunner
from contanos.stage.contract import Item, Task
from contanos.stage.lane import Lane
from contanos.stage.progress import Progress, ended, positions_of, progress_of
from contanos.stage.runner import Runner
from contanos.stage.supervisor import Supervisor
from contanos.stage.task_runner import TaskRunner
from contanos.stage.tasks import Tasks
from contanos.testing.stages import (
    TEST_GRAPH,
    Collect,
    Double,
    Total,
    create_topics,
    publish,
    read_task,
    task_value,
)

NODES = {node.stage: node for node in TEST_GRAPH.nodes}
Fault = Callable[[int], None]


class Killed(BaseException):
    """Ends a runner wherever it is, as a signal would: nothing in its way catches it."""


class Line:
    """The test graph, running."""

    def __init__(self, double: Double, total_fault: Fault = lambda _: None) -> None:
        self.bus = MemoryBus(patience=20)
        self.tasks = Tasks(self.bus, read_task)
        self.seen: dict[str, list[FrameResult]] = {}
        self.ends: dict[str, list[EndOfStream]] = {}
        self.pool = ThreadPoolExecutor(3)
        self.double = double
        self.supervisor = Supervisor(
            [
                lambda: BatchRunner(
                    self.bus, NODES["double"], self.tasks, double, self.pool, width=4
                ),
                lambda: TaskRunner(
                    self.bus, NODES["total"], self.tasks, lambda _: Total(total_fault)
                ),
                lambda: TaskRunner(self.bus, NODES["collect"], self.tasks, self._collect),
            ],
            self.tasks,
        )

    def _collect(self, task: Task) -> Collect:
        return Collect(self.seen[task.task_id], self.ends[task.task_id])

    def add(self, task_id: str, partitions: int = 1, first: int = 0) -> Task:
        self.seen[task_id], self.ends[task_id] = [], []
        task = Task(task_id, 16, 16, 30.0, partitions, first)
        self.tasks.add(task_id, task_value(task))
        create_topics(self.bus, TEST_GRAPH, task)
        return task

    def start(self, task_id: str, frames: int, partitions: int = 1, first: int = 0) -> None:
        publish(self.bus, self.add(task_id, partitions, first), frames)

    def progress(self, task_id: str) -> Progress:
        task = self.tasks.get(task_id)
        assert task
        return progress_of(positions_of(self.bus, TEST_GRAPH), TEST_GRAPH, task)

    def finish(self, task_id: str, timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if ended(self.progress(task_id), {"collect"}) or self.tasks.failure(task_id):
                return
            time.sleep(0.01)
        pytest.fail(f"{task_id} has not ended: {self.progress(task_id)}")

    def scores(self, task_id: str) -> list[float]:
        return [result.detections[0].score for result in self.seen[task_id]]

    def close(self) -> None:
        assert self.supervisor.stop(10)
        self.pool.shutdown()
        self.bus.close()


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def make(double: Double | None = None, **faults: Fault) -> Line:
        lines.append(Line(double or Double(), **faults))
        lines[-1].supervisor.start()
        return lines[-1]

    yield make
    for each in lines:
        each.close()


def done(line: Line) -> dict[str, int]:
    return {stage: each.done for stage, each in line.progress("a").items()}


def totals(frames: int, first: int = 0) -> list[float]:
    return list(accumulate(2.0 * i for i in range(first, first + frames)))


def test_every_frame_arrives_once_in_order(line: Callable[..., Line]) -> None:
    running = line(Double(lambda i: time.sleep(0.002 * (i % 3)), batch_size=4))
    running.start("a", 100)
    running.finish("a")
    assert [result.frame_id for result in running.seen["a"]] == list(range(100))
    assert running.scores("a") == totals(100)
    assert running.ends["a"] == [EndOfStream(task_id="a", frames=100, reason="completed")]
    assert done(running) == {"double": 100, "total": 100, "collect": 100}


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(("first", "frames"), [(1, 0), (5, 1), (70, 40)])
def test_a_task_may_begin_at_a_later_frame(
    line: Callable[..., Line], first: int, frames: int, partitions: int
) -> None:
    running = line(Double(lambda i: time.sleep(0.002 * (i % 3)), batch_size=2))
    running.start("a", frames, partitions, first)
    running.finish("a")
    assert [result.frame_id for result in running.seen["a"]] == [*range(first, first + frames)]
    assert running.scores("a") == totals(frames, first)
    assert running.ends["a"] == [EndOfStream(task_id="a", frames=frames, reason="completed")]
    assert done(running) == {"double": frames, "total": frames, "collect": frames}


def test_a_cancelled_task_counts_from_its_first_frame(line: Callable[..., Line]) -> None:
    running = line(Double(lambda _: time.sleep(0.01)))
    running.start("a", 1000, first=500)
    time.sleep(0.3)
    running.tasks.cancel("a")
    running.finish("a", timeout=5)
    end = running.ends["a"][0]
    assert (end.reason, end.frames) == ("cancelled", len(running.seen["a"]))
    assert 0 < end.frames < 500


def test_everything_is_committed_in_the_end(line: Callable[..., Line]) -> None:
    running = line()
    running.start("a", 33)
    running.finish("a")
    read = (("double-test", "raw_frames"), ("collect-test", "raw_frames"), ("total-test", "double"))
    for group, topic in read:
        source = TopicPartition(topic_name(topic, "a"), 0)
        assert running.bus.wait_committed([group], source, 34, timeout=5), (group, topic)


def test_batches_fill_across_tasks(line: Callable[..., Line]) -> None:
    begin = threading.Event()
    running = line(Double(lambda _: begin.wait(10) and None, batch_size=4))
    for task_id in "abcd":
        running.start(task_id, 20)
    time.sleep(0.3)
    begin.set()
    for task_id in "abcd":
        running.finish(task_id)
        assert running.scores(task_id) == totals(20)
    assert running.double.tasks_in_a_batch > 1


def test_a_short_task_is_not_kept_waiting_by_a_long_one(line: Callable[..., Line]) -> None:
    running = line(Double(lambda _: time.sleep(0.003)))
    running.start("long", 200)
    time.sleep(0.1)
    running.start("short", 10)
    running.finish("short")
    assert len(running.seen["long"]) < 150
    running.finish("long")


@pytest.mark.parametrize("frames", [0, 3, 50])
def test_a_task_spread_over_partitions_comes_together_again(
    line: Callable[..., Line], frames: int
) -> None:
    running = line(Double(lambda i: time.sleep(0.002 * (i % 3)), batch_size=2))
    running.start("a", frames, partitions=4)
    running.finish("a")
    assert [result.frame_id for result in running.seen["a"]] == list(range(frames))
    assert running.scores("a") == totals(frames)
    assert done(running) == {"double": frames, "total": frames, "collect": frames}
    assert running.ends["a"] == [EndOfStream(task_id="a", frames=frames, reason="completed")]


def test_a_cancelled_task_spread_over_partitions_ends_whole(line: Callable[..., Line]) -> None:
    running = line(Double(lambda i: time.sleep(0.003 * (i % 3))))
    running.start("a", 1000, partitions=3)
    time.sleep(0.3)
    running.tasks.cancel("a")
    running.finish("a", timeout=5)
    end = running.ends["a"][0]
    assert end.reason == "cancelled"
    assert 0 < end.frames == len(running.seen["a"]) < 1000
    assert running.scores("a") == totals(end.frames)


def test_an_empty_task_ends(line: Callable[..., Line]) -> None:
    running = line()
    running.start("a", 0)
    running.finish("a")
    assert running.ends["a"] == [EndOfStream(task_id="a", frames=0, reason="completed")]


def test_a_poisoned_frame_fails_alone(line: Callable[..., Line]) -> None:
    def poison(frame_id: int) -> None:
        if frame_id == 7:
            raise ValueError("cannot look at this")

    running = line(Double(poison, batch_size=4))
    running.start("a", 20)
    running.finish("a")
    errors = {result.frame_id: result.error for result in running.seen["a"] if result.error}
    assert errors == {7: "double: cannot look at this"}
    assert running.scores("a")[-1] == totals(20)[-1] - 14.0
    assert running.progress("a")["double"].failed == 1


def test_a_stage_that_always_fails_fails_the_task_and_no_other(line: Callable[..., Line]) -> None:
    seen: list[int] = []

    def fail_from_50(frame_id: int) -> None:
        seen.append(frame_id)
        if frame_id >= 50:
            raise ValueError("broken for good")

    running = line(Double(fail_from_50))
    running.start("bad", 200)
    running.start("good", 40)
    running.finish("good")
    running.finish("bad")
    assert str(running.tasks.failure("bad")) == "double: broken for good"
    assert running.tasks.failure("good") is None
    assert running.scores("good") == totals(40)
    assert not running.ends["bad"]


@pytest.mark.parametrize("first", [0, 100])
@pytest.mark.parametrize("kills", [[0], [3], [5], [17, 18], [11, 12, 23, 39]])
def test_a_killed_tracker_goes_on_without_losing_or_repeating(
    line: Callable[..., Line], kills: list[int], first: int
) -> None:
    left = [first + each for each in kills]

    def kill(frame_id: int) -> None:
        if left and frame_id == left[0]:
            left.pop(0)
            raise Killed

    running = line(total_fault=kill)
    running.start("a", 40, first=first)
    running.finish("a")
    assert not left
    assert [result.frame_id for result in running.seen["a"]] == list(range(first, first + 40))
    assert running.scores("a") == totals(40, first)


@pytest.mark.parametrize("kill_at", [0, 9, 30])
def test_a_killed_detector_goes_on_without_losing_or_repeating(
    line: Callable[..., Line], kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between producing and committing: the worst moment, as all of it is repeated."""
    commit, killed = BatchRunner.commit, []

    def die_once(runner: BatchRunner, lane: Lane) -> None:
        if not killed and lane.mark.done > kill_at:
            killed.append(True)
            raise Killed
        commit(runner, lane)

    monkeypatch.setattr(BatchRunner, "commit", die_once)
    running = line()
    running.start("a", 40)
    running.finish("a")
    assert killed
    assert [result.frame_id for result in running.seen["a"]] == list(range(40))
    assert running.scores("a") == totals(40)


def test_a_cancelled_task_ends_early_and_whole(line: Callable[..., Line]) -> None:
    running = line(Double(lambda _: time.sleep(0.01)))
    running.start("a", 1000)
    time.sleep(0.3)
    running.tasks.cancel("a")
    running.finish("a", timeout=5)
    end = running.ends["a"][0]
    assert end.reason == "cancelled"
    assert 0 < end.frames < 1000
    assert running.scores("a") == totals(end.frames)


@pytest.mark.parametrize("victim", ["double", "total", "collect"])
@pytest.mark.parametrize("step", ["end_lane", "before_commit", "commit", "forget_lane"])
def test_a_runner_killed_while_it_ends_a_task_ends_it_all_the_same(
    line: Callable[..., Line], victim: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the outputs are final, after the end was sent, before and after its commit."""
    killed = []
    kinds = {"double": BatchRunner}
    kind = kinds.get(victim, TaskRunner)
    name = "commit" if step == "before_commit" else step
    original = getattr(kind, name)

    def die_once(runner: Runner, argument: object, *rest: object) -> None:
        at_the_end = any(lane.closing and not lane.slots for lane in runner.lanes.values())
        if not killed and runner.node.stage == victim and at_the_end:
            killed.append(step)
            if step == "commit":
                original(runner, argument, *rest)
            raise Killed
        original(runner, argument, *rest)

    monkeypatch.setattr(kind, name, die_once)
    running = line()
    running.start("a", 22)
    running.finish("a")
    assert killed == [step]
    assert running.scores("a") == totals(22)
    assert done(running) == {"double": 22, "total": 22, "collect": 22}


def test_a_stage_that_forgets_a_frame_fails_it(line: Callable[..., Line]) -> None:
    class Forgetful(Double):
        def process(self, items: Sequence[Item]) -> list[FrameResult]:
            answers = super().process(items)
            return [each for each in answers if each.frame_id != 3]

    running = line(Forgetful())
    running.start("a", 10)
    running.finish("a")
    assert [result.frame_id for result in running.seen["a"] if result.error] == [3]


def test_a_runner_that_dies_again_and_again_fails_its_tasks(
    line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(TaskRunner, "_process", die)
    running = line()
    running.start("a", 10)
    running.finish("a")
    failure = running.tasks.failure("a")
    assert failure is not None
    assert failure.stage == "total"


def test_a_cancel_after_a_restart_counts_what_came_out(
    line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, killed = BatchRunner.commit, []

    def die_once(runner: BatchRunner, lane: Lane) -> None:
        commit(runner, lane)
        if not killed and lane.mark.done > 10:
            killed.append(True)
            running.tasks.cancel("a")
            raise Killed

    monkeypatch.setattr(BatchRunner, "commit", die_once)
    running = line()
    running.start("a", 100)
    running.finish("a")
    end = running.ends["a"][0]
    assert end.frames == len(running.seen["a"]) > 10
    assert running.scores("a") == totals(end.frames)


def test_a_supervisor_whose_factory_fails_tries_again() -> None:
    bus, made = MemoryBus(), []
    tasks = Tasks(bus, read_task)

    class Dying(TaskRunner):
        def step(self, timeout: float) -> None:
            if len(made) < 3:
                raise Killed
            super().step(0.01)

    def make() -> Dying:
        made.append(True)
        if len(made) == 2:
            raise OSError("the broker is away")
        return Dying(bus, NODES["collect"], tasks, lambda _: Collect([], []))

    monkeypatched = pytest.MonkeyPatch()
    with monkeypatched.context() as patch:
        patch.setattr("contanos.stage.supervisor._LONGEST_PAUSE", 0.05)
        supervisor = Supervisor([make], tasks)
        supervisor.start()
        deadline = time.monotonic() + 10
        while len(made) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert supervisor.stop(10)
    assert len(made) == 3
    bus.close()
