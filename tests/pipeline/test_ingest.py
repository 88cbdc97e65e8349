"""Ingest on a real bus: no faster than its readers, and it ends when it should."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contanos.bus import Position, TopicPartition, TopicSpec
from contanos.bus.memory import MemoryBus
from contanos.errors import InputError
from contanos.messages import EndOfStream
from contanos.stage.contract import Task
from contanos.stage.tasks import Tasks
from contanos.testing.stages import read_task, task_value
from contanos.testing.videos import corrupt, make_video
from contanos.video.codec import FrameCodec
from contanos.video.frame import BadFrame
from contanos.video.group import FrameGroup
from contanos.video.source import VideoSource
from video_analysis.control.books import Books, IngestReport
from video_analysis.control.ingest import FileIngest

TOPIC = TopicPartition("raw_frames_a", 0)
FRAMES, IN_FLIGHT = 40, 6


class Ingesting:
    """An ingest on a thread of its own, and a reader that the test moves by hand."""

    def __init__(self, video: Path, max_frames: int | None = None, first: int = 0) -> None:
        self.bus = MemoryBus(patience=5)
        self.bus.create_topic(TOPIC.topic, TopicSpec(capacity=200, readers=("reader",)))
        self.consumer = self.bus.consumer("reader", ["raw_frames_"], None)
        self.tasks = Tasks(self.bus, read_task)
        task = Task("a", 64, 48, 25.0, first_frame=first)
        self.tasks.add("a", task_value(task))
        self.source = VideoSource(video)
        self.reports = Books.on(self.bus).ingests
        self.ingest = FileIngest(
            self.bus,
            self.tasks,
            task,
            self.source,
            FrameCodec.parse("source"),
            ["reader"],
            IN_FLIGHT,
            max_frames,
            self.reports,
        )
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.ingest.run()
        except InputError as e:
            self.error = e

    def read(self) -> list[object]:
        """Everything, one record at a time, checking how many fly."""
        values: list[object] = []
        while not values or not isinstance(values[-1], EndOfStream):
            (record,) = self.consumer.poll(1, 5.0)
            frames = self.bus.end_offset(TOPIC) - len(values)
            assert frames <= IN_FLIGHT + 1  # and the end of stream
            values.append(record.value)
            self.consumer.commit({TOPIC: Position(record.offset + 1)})
        return values

    @property
    def report(self) -> IngestReport:
        report = self.reports.get("a")
        assert report
        return report

    def close(self) -> None:
        self.tasks.cancel("a")
        self.thread.join(10)
        self.source.close()
        self.bus.close()


@pytest.fixture
def opened() -> Iterator[list[Ingesting]]:
    each: list[Ingesting] = []
    yield each
    for one in each:
        one.close()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "video.avi", FRAMES, codec="mjpeg", pix_fmt="yuvj420p")


def test_all_frames_arrive_and_never_more_fly_than_may(
    opened: list[Ingesting], video: Path
) -> None:
    opened.append(Ingesting(video))
    *frames, end = opened[0].read()
    assert [frame.frame_id for frame in frames] == list(range(FRAMES))  # type: ignore[attr-defined]
    assert end == EndOfStream(task_id="a", frames=FRAMES, reason="completed")
    assert opened[0].report.published == opened[0].report.read == FRAMES


def test_it_waits_for_a_reader_that_does_nothing(opened: list[Ingesting], video: Path) -> None:
    opened.append(Ingesting(video))
    opened[0].thread.join(0.5)
    assert opened[0].thread.is_alive()
    assert opened[0].bus.end_offset(TOPIC) == IN_FLIGHT


def test_a_limit_ends_it(opened: list[Ingesting], video: Path) -> None:
    opened.append(Ingesting(video, max_frames=7))
    *frames, end = opened[0].read()
    assert len(frames) == 7
    assert end == EndOfStream(task_id="a", frames=7, reason="completed")


@pytest.mark.parametrize(("first", "limit"), [(0, 1), (7, 5), (33, None), (35, 20), (39, 1)])
def test_a_range_is_what_arrives(
    opened: list[Ingesting], video: Path, first: int, limit: int | None
) -> None:
    opened.append(Ingesting(video, limit, first))
    *frames, end = opened[0].read()
    wanted = [*range(first, min(FRAMES, first + (limit or FRAMES)))]
    assert [frame.frame_id for frame in frames] == wanted  # type: ignore[attr-defined]
    assert end == EndOfStream(task_id="a", frames=len(wanted), reason="completed")
    assert opened[0].report.published == opened[0].report.read == len(wanted)


def test_a_range_beyond_the_end_is_an_error_and_sends_nothing(
    opened: list[Ingesting], video: Path
) -> None:
    opened.append(Ingesting(video, first=FRAMES))
    opened[0].thread.join(5)
    assert str(opened[0].error) == f"{video} has {FRAMES} frames: none from {FRAMES} on"
    assert opened[0].bus.end_offset(TOPIC) == 0
    assert opened[0].reports.get("a") is None


def test_a_cancel_on_the_way_to_the_first_frame_is_heard(
    opened: list[Ingesting], video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, asked = Tasks.cancelled, 0

    def cancelled(tasks: Tasks, task_id: str) -> bool:
        nonlocal asked
        asked += 1
        return asked > 10 or known(tasks, task_id)

    monkeypatch.setattr(Tasks, "cancelled", cancelled)
    opened.append(Ingesting(video, first=30))
    assert opened[0].read() == [EndOfStream(task_id="a", frames=0, reason="cancelled")]
    assert opened[0].source.read == 11
    assert opened[0].report.read == opened[0].report.published == 0


def test_only_bad_frames_of_the_range_count(
    opened: list[Ingesting], video: Path, tmp_path: Path
) -> None:
    bad = corrupt(video, tmp_path / "bad.avi", packets=[3, 9, 30])
    opened.append(Ingesting(bad, 12, first=8))
    opened[0].read()
    assert (opened[0].report.read, opened[0].report.failed) == (12, 1)


def test_a_cancel_ends_it_while_it_waits(opened: list[Ingesting], video: Path) -> None:
    opened.append(Ingesting(video))
    opened[0].thread.join(0.2)
    opened[0].tasks.cancel("a")
    opened[0].thread.join(5)
    assert not opened[0].thread.is_alive()
    *frames, end = opened[0].read()
    assert end == EndOfStream(task_id="a", frames=len(frames), reason="cancelled")


def test_a_frame_that_cannot_be_decoded_keeps_its_place(
    opened: list[Ingesting], video: Path, tmp_path: Path
) -> None:
    opened.append(Ingesting(corrupt(video, tmp_path / "bad.avi", packets=[9])))
    *frames, _ = opened[0].read()
    bad = [i for i, frame in enumerate(frames) if isinstance(frame, BadFrame)]
    assert bad == [9]
    assert opened[0].report.failed == 1


class Encoding(MemoryBus):
    """A bus to which frames must be sent as to another process."""

    by_reference = False


class Restarted:
    """Ingests of one task, one after another, over a bus that keeps everything."""

    def __init__(
        self, video: Path, partitions: int, first: int = 0, limit: int | None = None
    ) -> None:
        self.bus = Encoding(patience=5)
        self.limit = limit
        self.task = Task("a", 64, 48, 25.0, partitions, first)
        self.tasks = Tasks(self.bus, read_task)
        self.tasks.add("a", task_value(self.task))
        self.bus.create_topic(TOPIC.topic, TopicSpec(partitions, capacity=200))
        self.reports = Books.on(self.bus).ingests
        self.video = video

    def ingest(self, leave_after: int | None = None) -> None:
        """Feed to the end, or leave once the topic holds so many records."""
        codec, leave = FrameCodec.parse("source"), threading.Event()
        with codec.open(self.video) as source:
            ingest = FileIngest(
                self.bus,
                self.tasks,
                self.task,
                source,
                codec,
                [],
                100,
                self.limit,
                self.reports,
                leave,
            )
            send = ingest._send

            def sent(*arguments: Any) -> None:
                send(*arguments)
                if leave_after is not None and self.records() >= leave_after:
                    leave.set()

            ingest._send = sent  # type: ignore[method-assign]
            ingest.run()

    def records(self) -> int:
        return sum(self.bus.end_offset(each) for each in self.partitions())

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(TOPIC.topic, i) for i in range(self.task.partitions)]

    def held(self) -> list[list[object]]:
        return [[each.value for each in self.bus.logs[at].records] for at in self.partitions()]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("leave_after", [1, 2, 4])
@pytest.mark.parametrize(("first", "limit"), [(0, None), (8, None), (8, 20), (12, 19)])
def test_another_ingest_goes_on_where_one_left(
    tmp_path: Path, partitions: int, leave_after: int, first: int, limit: int | None
) -> None:
    video = make_video(tmp_path / "video.mp4", FRAMES, codec="libx264", options={"g": "6"})
    whole, broken = (Restarted(video, partitions, first, limit) for _ in range(2))
    whole.ingest()
    broken.ingest(leave_after)
    assert broken.reports.get("a") is None
    broken.ingest()
    assert broken.held() == whole.held()
    report = broken.reports.get("a")
    assert report
    frames = min(FRAMES - first, limit or FRAMES)
    assert (report.read, report.published, report.fallbacks) == (frames, frames, {})
    groups = [each for held in broken.held() for each in held if isinstance(each, FrameGroup)]
    sent = sorted(i for each in groups for i in range(each.frame_id, each.end))
    assert sent == [*range(first - first % 6, first + frames)]  # the first group is sent whole
    ends = {each.frames for held in broken.held() for each in held if isinstance(each, EndOfStream)}
    assert ends == {frames}


def test_what_cannot_travel_as_it_is_is_told(tmp_path: Path) -> None:
    task = Restarted(make_video(tmp_path / "video.avi", 5, codec="ffv1"), partitions=1)
    task.ingest()
    report = task.reports.get("a")
    assert report
    assert list(report.fallbacks.values()) == [5]
