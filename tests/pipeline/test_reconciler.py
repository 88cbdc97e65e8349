"""A task's whole life on a bus: ordered, begun, completed or failed, and swept."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contanos.bus import TopicSpec
from contanos.bus.memory import MemoryBus
from contanos.stage.supervisor import Supervisor
from contanos.stage.tasks import Tasks
from video_analysis.assembly import Assembly, make_kit
from video_analysis.control.books import Books, Order, Outcome
from video_analysis.control.reconciler import Reconciler
from video_analysis.job import read_task
from video_analysis.models.load import choose_models
from video_analysis.pipeline import graphs
from video_analysis.results.summary import read_summary
from video_analysis.settings import Options, Settings

FRAMES = 24
SETTINGS = Settings(workers=2, grace_seconds=0.5, outcome_seconds=2.0)


class House:
    """The services of one installation, in this process."""

    def __init__(self, stages: set[str] | None = None, settings: Settings = SETTINGS) -> None:
        self.bus = MemoryBus()
        self.tasks = Tasks(self.bus, read_task)
        self.books = Books.on(self.bus)
        self.settings = settings
        self.pool = ThreadPoolExecutor(2)
        kit = make_kit(choose_models(Options()), settings, load=False)
        assembly = Assembly(self.bus, self.tasks, kit, self.pool)
        runners = assembly.runners(graphs(["pose_first"]), stages)
        self.supervisor = Supervisor(runners, self.tasks)
        self.supervisor.start()
        self.reconcilers: list[tuple[Reconciler, threading.Thread]] = []

    def reconcile(self) -> Reconciler:
        reconciler = Reconciler(self.bus, self.tasks, self.settings)
        thread = threading.Thread(target=reconciler.run)
        thread.start()
        self.reconcilers.append((reconciler, thread))
        return reconciler

    def order(self, task_id: str, source: Path, folder: Path, **options: object) -> None:
        chosen = Options(max_frames=FRAMES, **options)  # type: ignore[arg-type]
        order = Order(
            task_id=task_id, source=str(source), folder=str(folder), options=chosen, ordered=0.0
        )
        self.books.orders.put(task_id, order)

    def outcome(self, task_id: str) -> Outcome:
        wait_until(lambda: self.books.outcomes.get(task_id) is not None, 60)
        outcome = self.books.outcomes.get(task_id)
        assert outcome
        return outcome

    def stop_reconcilers(self) -> None:
        for reconciler, thread in self.reconcilers:
            reconciler.stop()
            thread.join(20)
            assert not thread.is_alive()
        self.reconcilers.clear()

    def close(self) -> None:
        self.stop_reconcilers()
        assert self.supervisor.stop(20)
        self.pool.shutdown()
        self.bus.close()


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(stages: set[str] | None = None, settings: Settings = SETTINGS) -> House:
        houses.append(House(stages, settings))
        return houses[-1]

    yield make
    for each in houses:
        each.close()


@pytest.mark.parametrize("options", [{}, {"blur": True, "first_frame": 70}])
def test_a_task_from_its_order_to_the_last_trace(
    house: Callable[..., House], demo_video: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    running = house()
    running.reconcile()
    running.order("a", demo_video, tmp_path / "out", **options)
    assert running.outcome("a").reason == "completed"
    summary = read_summary(tmp_path / "out")
    assert summary.complete
    assert summary.proof.read == summary.proof.annotated == FRAMES
    files = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert files == ["annotated.mp4", "results.parquet", "summary.json"]
    wait_until(lambda: running.books.orders.get("a") is None, 10)
    assert running.bus.topics() == ["duty_all"]
    assert running.tasks.get("a") is None
    wait_until(lambda: running.books.outcomes.get("a") is None, 10)


@pytest.mark.parametrize("options", [{}, {"blur": True, "first_frame": 70}])
def test_an_heir_goes_on_at_any_point(
    house: Callable[..., House], demo_video: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    running = house()
    running.order("a", demo_video, tmp_path / "out", **options)
    for _ in range(6):
        running.reconcile()
        time.sleep(0.5)
        running.stop_reconcilers()
    running.reconcile()
    assert running.outcome("a").reason == "completed"
    assert read_summary(tmp_path / "out").proof.annotated == FRAMES


def test_a_first_frame_beyond_the_end_fails_and_leaves_nothing(
    house: Callable[..., House], demo_video: Path, tmp_path: Path
) -> None:
    running = house()
    running.reconcile()
    running.order("a", demo_video, tmp_path / "out", first_frame=230)
    outcome = running.outcome("a")
    assert (outcome.reason, outcome.kind) == ("failed", "InputError")
    assert "has 230 frames: none from 230 on" in (outcome.cause or "")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_fails_with_its_cause(
    house: Callable[..., House], tmp_path: Path
) -> None:
    running = house(set())
    running.reconcile()
    running.order("a", tmp_path / "missing.mp4", tmp_path / "out")
    outcome = running.outcome("a")
    assert outcome.reason == "failed"
    assert "missing.mp4" in (outcome.cause or "")
    assert outcome.kind == "VideoError"
    assert not (tmp_path / "out").exists()


def test_a_stage_that_is_not_there_is_named(
    house: Callable[..., House], demo_video: Path, tmp_path: Path
) -> None:
    impatient = SETTINGS.model_copy(update={"stall_seconds": 3.0})
    running = house({"yolox", "bytetrack", "annotation", "results"}, impatient)
    running.reconcile()
    running.order("a", demo_video, tmp_path / "out")
    outcome = running.outcome("a")
    assert outcome.cause == "rtmpose: no frame came out for 3 s; is the service running?"
    wait_until(lambda: running.bus.topics() == ["duty_all"], 10)
    assert not (tmp_path / "out").exists()


def test_a_cancelled_task_keeps_what_it_has(
    house: Callable[..., House], demo_video: Path, tmp_path: Path
) -> None:
    running = house()
    running.reconcile()
    running.order("a", demo_video, tmp_path / "out")
    wait_until(lambda: running.tasks.get("a") is not None, 10)
    running.tasks.cancel("a")
    assert running.outcome("a").reason == "cancelled"
    assert read_summary(tmp_path / "out").reason == "cancelled"


def test_topics_of_no_task_are_swept(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_analysis.control.reconciler._SWEEP", 0.3)
    running = house(set())
    running.bus.create_topic("raw_frames_gone", TopicSpec())
    running.reconcile()
    wait_until(lambda: running.bus.topics() == ["duty_all"], 10)


def test_two_reconcilers_share_the_tasks(
    house: Callable[..., House], demo_video: Path, tmp_path: Path
) -> None:
    running = house()
    both = [running.reconcile() for _ in range(2)]
    for task_id in "abcd":
        running.order(task_id, demo_video, tmp_path / task_id, video=False)
    for task_id in "abcd":
        assert running.outcome(task_id).reason == "completed"
    assert all(each._duties for each in both)
    assert not both[0]._duties & both[1]._duties
