"""Fifty tasks of ten users at once: all complete, all correct, none starves, nothing is left."""

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from contanos.bus import open_bus
from contanos.testing.kafka import Broker
from tests.services.members import Feeder, Member, fresh_namespace
from tests.services.results import assert_same_pictures
from video_analysis.assembly import make_kit
from video_analysis.control.books import Books, Order
from video_analysis.models.load import choose_models
from video_analysis.results.summary import read_summary
from video_analysis.run import Run
from video_analysis.settings import Options, Settings

pytestmark = pytest.mark.long

USERS, TASKS_OF_A_USER = 10, 5
FRAMES = 10
GRACE = 3.0
OPTIONS = Options(max_frames=FRAMES)
_DELETED = 3.0  # seconds after which the broker has removed what was deleted
_HANDS = 10  # threads that a reconciler keeps for many tasks, and a few of the clients below
_SLACK_BYTES = 1 << 20  # of tables, which remember what is gone until they are compacted
_MOST_OFFSETS = 2 * 4 * (4 << 20)  # two segments of each of this broker's four partitions of them


@dataclass(frozen=True, slots=True)
class Held:
    """What a broker's disk and this process hold.

    Attributes:
        partitions: folders of the broker.
        bytes: of all records in them.
        offsets: of these, where Kafka keeps what groups have committed; it compacts that itself.
        threads: of this process.
        descriptors: likewise.
    """

    partitions: int
    bytes: int
    offsets: int
    threads: int
    descriptors: int


def held(broker: Broker) -> Held:
    folders = [each for each in (broker.folder / "data").iterdir() if each.is_dir()]
    sizes = {each.name: sum(map(size, each.glob("*.log"))) for each in folders}
    offsets = sum(taken for name, taken in sizes.items() if name.startswith("__consumer_offsets"))
    process = psutil.Process()
    return Held(
        len(folders), sum(sizes.values()), offsets, process.num_threads(), process.num_fds()
    )


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # deleted meanwhile
        return 0


def task_ids() -> list[str]:
    return [f"user{user}-{n}" for n in range(TASKS_OF_A_USER) for user in range(USERS)]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What one clip gives where nobody else is there.

    Attributes:
        video: the clip.
        folder: the result.
        seconds: that it took.
    """

    video: Path
    folder: Path
    seconds: float


@pytest.fixture(scope="module")
def clips(
    demo_video: Path, vtest_video: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Undisturbed]:
    made = []
    for video in (demo_video, vtest_video):
        folder, settings = tmp_path_factory.mktemp("memory") / "out", Settings(workers=2)
        run = Run(video, folder, OPTIONS, settings)
        began = time.monotonic()
        assert run.work(lambda _: None).complete
        made.append(Undisturbed(video, folder, time.monotonic() - began))
    return made


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return Settings(
        bus=fresh_namespace(broker.url), workers=2, grace_seconds=GRACE, outcome_seconds=0
    )


@pytest.fixture
def services(settings: Settings) -> Iterator[None]:
    member = Member(settings, make_kit(choose_models(Options()), settings))
    feeder = Feeder(settings)
    yield
    feeder.close()
    member.close()


class Crowd:
    """Orders, and what becomes of them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.bus = open_bus(settings.bus)
        self.books = Books.on(self.bus)
        self._folder = folder

    def run(self, videos: Mapping[str, Path], seconds: float) -> dict[str, float]:
        """Order all at once; when each was done, in seconds since then."""
        ordered = time.time()
        for task_id, video in videos.items():
            order = Order(
                task_id=task_id,
                source=str(video),
                folder=str(self.folder(task_id)),
                options=OPTIONS,
                ordered=ordered,
            )
            self.books.orders.put(task_id, order)
        done: dict[str, float] = {}
        while len(done) < len(videos):
            assert time.time() < ordered + seconds, f"not done: {sorted(set(videos) - set(done))}"
            for task_id, outcome in self.books.outcomes.all().items():
                assert outcome.reason == "completed", (task_id, outcome)
                done.setdefault(task_id, outcome.at - ordered)
            time.sleep(0.05)
        return done

    def folder(self, task_id: str) -> Path:
        return self._folder / task_id

    def await_gone(self, seconds: float) -> None:
        """Return once nothing is left on the bus but where reconcilers meet."""
        deadline = time.monotonic() + seconds
        while self.bus.topics() != ["duty_all"] or self.books.orders.all():
            assert time.monotonic() < deadline, self.bus.topics()
            time.sleep(0.1)


@pytest.mark.timeout(600)  # a minute and a half where nothing else runs
@pytest.mark.usefixtures("services")
def test_fifty_tasks_of_ten_users(
    broker: Broker, settings: Settings, clips: list[Undisturbed], tmp_path: Path
) -> None:
    crowd = Crowd(settings, tmp_path)
    crowd.run({"first": clips[0].video}, 60)  # what is made once is made now
    crowd.await_gone(30)
    time.sleep(_DELETED)
    before = held(broker)
    began = {task_id: clips[i % len(clips)] for i, task_id in enumerate(task_ids())}
    work = sum(each.seconds for each in began.values())
    done = crowd.run({task_id: each.video for task_id, each in began.items()}, 240)
    crowd.await_gone(GRACE + 30)
    time.sleep(_DELETED)
    after = held(broker)
    print(spread(done, work), before, after, sep="\n")
    for task_id, clip in began.items():
        assert_right(crowd.folder(task_id), clip.folder)
    last = max(done.values())
    assert last <= 1.5 * work
    assert last <= 1.5 * statistics.median(done.values())
    users = last_of_each_user(done)
    assert max(users) - min(users) <= 0.25 * last
    assert after.partitions == before.partitions
    assert after.bytes - after.offsets <= before.bytes - before.offsets + _SLACK_BYTES
    assert after.offsets <= _MOST_OFFSETS
    assert after.threads <= before.threads + _HANDS
    assert after.descriptors <= before.descriptors + 10
    crowd.bus.close()


def assert_right(folder: Path, undisturbed: Path) -> None:
    """The same, but for the name of the task."""
    ours, theirs = (
        pq.read_table(each / "results.parquet").drop_columns(["task_id"])
        for each in (folder, undisturbed)
    )
    assert ours.equals(theirs)
    assert_same_pictures(folder, undisturbed)
    assert read_summary(folder).complete


def last_of_each_user(done: Mapping[str, float]) -> list[float]:
    """When the last task of each user was done."""
    return [
        max(at for name, at in done.items() if name.startswith(f"user{user}-"))
        for user in range(USERS)
    ]


def spread(done: Mapping[str, float], work: float) -> str:
    """When tasks were done, against their fair share: all at the same time, at the end."""
    times, users = sorted(done.values()), last_of_each_user(done)
    return (
        f"{len(times)} tasks, alone {work:.1f} s in all; done after {times[0]:.1f} s (first), "
        f"{statistics.median(times):.1f} s (median), {times[-1]:.1f} s (last); "
        f"users' last tasks after {min(users):.1f} to {max(users):.1f} s"
    )
