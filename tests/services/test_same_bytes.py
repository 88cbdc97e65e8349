"""The same file gives the same bytes, on either bus, whatever shares the work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contanos.testing.kafka import Broker
from tests.services.members import Feeder, Member, fresh_namespace, run_remotely
from tests.services.results import assert_same
from video_analysis.assembly import Kit, make_kit
from video_analysis.models.load import choose_models
from video_analysis.run import Run
from video_analysis.settings import GraphName, Options, Settings

FRAMES = 40
GRAPHS: tuple[GraphName, ...] = ("pose_first", "track_first")
CODECS = ("source", "jpeg:85")

Reference = Callable[[GraphName, str], Path]


def name(graph: GraphName) -> str:
    """Of the task: it is part of the data, so it must be the same on both buses."""
    return graph.replace("_", "-")


@pytest.fixture(scope="module")
def kit() -> Kit:
    return make_kit(choose_models(Options()), Settings(workers=2))


@pytest.fixture(scope="module")
def reference(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What `memory://` makes of it."""
    made: dict[tuple[str, str], Path] = {}

    def make(graph: GraphName, codec: str) -> Path:
        if (graph, codec) not in made:
            folder = made[graph, codec] = tmp_path_factory.mktemp("memory") / "out"
            options = Options(graph=graph, max_frames=FRAMES)
            settings = Settings(workers=2, frame_codec=codec)
            assert (
                Run(demo_video, folder, options, settings, name(graph))
                .work(lambda _: None)
                .complete
            )
        return made[graph, codec]

    return make


@pytest.fixture(
    params=[1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 4))],
    ids=lambda count: f"{count}-workers",
)
def bus(request: pytest.FixtureRequest, broker: Broker, kit: Kit) -> Iterator[str]:
    """A bus with so many members in every stage's group."""
    url = fresh_namespace(broker.url)
    members = [Member(Settings(bus=url, workers=2), kit) for _ in range(request.param)]
    yield url
    for each in members:
        each.close()


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("codec", CODECS)
def test_kafka_gives_what_memory_gives(
    bus: str, partitions: int, codec: str, reference: Reference, demo_video: Path, tmp_path: Path
) -> None:
    for graph in GRAPHS:
        reference(graph, codec)
    settings = Settings(
        bus=bus, workers=2, partitions=partitions, frame_codec=codec, grace_seconds=0.0
    )
    feeder = Feeder(settings)

    def run(graph: GraphName) -> None:
        options = Options(graph=graph, max_frames=FRAMES)
        summary = run_remotely(demo_video, tmp_path / graph, options, settings, name(graph))
        assert summary.complete
        assert_same(tmp_path / graph, reference(graph, codec))

    try:
        with ThreadPoolExecutor(2) as both:
            list(both.map(run, GRAPHS))
    finally:
        feeder.close()
