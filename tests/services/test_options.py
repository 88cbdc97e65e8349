"""Hidden faces and ranges of frames over Kafka: the bytes that `memory://` gives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contanos.testing.kafka import Broker
from contanos.video.codec import FrameCodec
from contanos.video.frame import Frame
from tests.services.members import Feeder, Member, fresh_namespace, run_remotely
from tests.services.results import assert_same
from video_analysis.assembly import Kit, make_kit
from video_analysis.models.load import choose_models
from video_analysis.results.reader import open_results
from video_analysis.run import Run
from video_analysis.settings import Options, Settings

FIRST, FRAMES = 70, 20  # in the middle of the sample's second group of pictures

TASKS = {
    "plain": Options(max_frames=FRAMES),
    "range": Options(first_frame=FIRST, max_frames=FRAMES),
    "blurred": Options(max_frames=FRAMES, blur=True),
    "both": Options(graph="track_first", first_frame=FIRST, max_frames=FRAMES, blur=True),
}
"""At once, so that every stage before the outputs serves hidden and other faces in one group."""


@pytest.fixture(scope="module")
def kit() -> Kit:
    return make_kit(choose_models(Options()), Settings(workers=2))


@pytest.fixture(scope="module")
def reference(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `memory://` makes of each task."""
    folder = tmp_path_factory.mktemp("memory")
    for name, options in TASKS.items():
        run = Run(demo_video, folder / name, options, Settings(workers=2), name)
        assert run.work(lambda _: None).complete
    return folder


@pytest.fixture(scope="module")
def bus(broker: Broker, kit: Kit) -> Iterator[str]:
    url = fresh_namespace(broker.url)
    member = Member(Settings(bus=url, workers=2), kit)
    yield url
    member.close()


def test_the_range_begins_inside_a_group(demo_video: Path) -> None:
    codec = FrameCodec.parse("source")
    with codec.open(demo_video) as source:
        first = next(iter(codec.groups(source, FIRST)))
    assert first.frame_id < FIRST < first.end
    assert isinstance(first.frame(FIRST), Frame)


@pytest.mark.parametrize("partitions", [1, 3])
def test_kafka_gives_what_memory_gives(
    bus: str, partitions: int, reference: Path, demo_video: Path, tmp_path: Path
) -> None:
    feeder = Feeder(Settings(bus=bus, workers=2, partitions=partitions, grace_seconds=0.0))
    settings = Settings(bus=bus)

    def run(name: str) -> None:
        options = TASKS[name]
        summary = run_remotely(demo_video, tmp_path / name, options, settings, name)
        assert summary.complete
        assert summary.source.fallbacks == {}
        proof = summary.proof
        assert proof.read == proof.published == proof.annotated == FRAMES
        assert proof.blurred == (FRAMES if options.blur else None)
        first = options.first_frame
        frames = [each.frame_id for each in open_results(tmp_path / name)]
        assert frames == [*range(first, first + FRAMES)]
        assert_same(tmp_path / name, reference / name)

    try:
        with ThreadPoolExecutor(len(TASKS)) as pool:
            list(pool.map(run, TASKS))
    finally:
        feeder.close()
