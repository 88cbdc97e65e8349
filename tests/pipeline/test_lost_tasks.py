"""Who was taken for dead and comes back harms nobody: neither its task, nor the task's files."""

import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contanos.bus import Position, TopicPartition
from contanos.bus.memory import MemoryBus
from contanos.disk import replacing
from contanos.errors import OutputError
from contanos.messages import EndOfStream, FrameResult
from contanos.stage.batch_runner import BatchRunner
from contanos.stage.contract import Task
from contanos.stage.mark import from_note
from contanos.stage.progress import ended, positions_of, progress_of
from contanos.stage.runner import Runner
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
from tests.pipeline.test_reconciler import House, wait_until
from video_analysis.results.summary import read_summary
from video_analysis.settings import Settings
from video_analysis.workspace import FolderBusy, Workspace

NODES = {node.stage: node for node in TEST_GRAPH.nodes}
FRAMES = 40
PATIENT = Settings(workers=2, stall_seconds=60.0)
SECOND = next(name for name in "abcdefgh" if zlib.crc32(name.encode()) % 2)
"""A task that passes to the second member of a group as soon as there is one."""


def test_what_fails_after_it_was_lost_does_not_fail_the_task() -> None:
    bus, hangs, comes_back = MemoryBus(patience=20), threading.Event(), threading.Event()
    tasks, pool = Tasks(bus, read_task), ThreadPoolExecutor(2)
    seen: list[FrameResult] = []
    ends: list[EndOfStream] = []

    def freeze(number: int) -> None:
        if number == FRAMES // 2:
            hangs.set()
            assert comes_back.wait(20)
            raise OutputError("the heir has tidied up")

    def total(fault: Total) -> Runner:
        return TaskRunner(bus, NODES["total"], tasks, lambda _: fault)

    runners = [
        BatchRunner(bus, NODES["double"], tasks, Double(), pool, width=2),
        TaskRunner(bus, NODES["collect"], tasks, lambda _: Collect(seen, ends)),
        total(Total(freeze)),
    ]
    with ThreadPoolExecutor(4) as threads:
        for each in runners:
            threads.submit(each.run)
        task = Task(SECOND, 16, 16, 30.0)
        tasks.add(SECOND, task_value(task))
        create_topics(bus, TEST_GRAPH, task)
        publish(bus, task, FRAMES)
        assert hangs.wait(20)
        runners.append(total(Total()))
        threads.submit(runners[-1].run)
        comes_back.set()
        wait_until(
            lambda: (
                ended(progress_of(positions_of(bus, TEST_GRAPH), TEST_GRAPH, task), {"collect"})
                or tasks.failure(SECOND) is not None
            ),
            20,
        )
        for each in runners:
            each.stop()
    assert tasks.failure(SECOND) is None
    assert [each.frame_id for each in seen] == list(range(FRAMES))
    assert not any(each.error for each in seen)
    pool.shutdown()
    bus.close()


def test_a_reconciler_waits_for_the_one_before_it_to_let_go(
    demo_video: Path, tmp_path: Path
) -> None:
    house, folder = House(settings=PATIENT), tmp_path / "out"
    try:
        with Workspace(folder, demo_video) as held:
            held.keep = True
            with pytest.raises(FolderBusy), Workspace(folder, demo_video):
                pass
            house.order("a", demo_video, folder)
            house.reconcile()
            time.sleep(1.0)
            assert house.books.outcomes.get("a") is None
        assert house.outcome("a").reason == "completed"
        assert read_summary(folder).complete
    finally:
        house.close()


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as dead:
        dead.write(b"half of it")
        with replacing(path) as heir:
            heir.write(b"whole")
            dead.flush()
        assert path.read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_partial_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".annotated.mp4.0123abcd.partial").touch()
    with Workspace(tmp_path, tmp_path / "input.mp4"):
        pass
    assert not list(tmp_path.iterdir())


class TellsLate(MemoryBus):
    """What the first stage has committed is heard of a second after all outputs have ended."""

    ended = 0.0

    def positions(self, group: str) -> dict[TopicPartition, Position]:
        if group.startswith("yolox") and not self._late():
            return {}
        return super().positions(group)

    def _late(self) -> bool:
        outputs = [
            MemoryBus.positions(self, f"{each}-pose_first") for each in ("annotation", "results")
        ]
        notes = [each.note for found in outputs for each in found.values()]
        if not self.ended and sum(from_note(note).end is not None for note in notes) == 2:
            self.ended = time.monotonic()
        return 0 < self.ended < time.monotonic() - 1.0


def test_the_proof_waits_for_every_stage(
    demo_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.pipeline.test_reconciler.MemoryBus", TellsLate)
    house = House(settings=PATIENT)
    try:
        house.order("a", demo_video, tmp_path / "out")
        house.reconcile()
        assert house.outcome("a").cause is None
        assert read_summary(tmp_path / "out").complete
    finally:
        house.close()
