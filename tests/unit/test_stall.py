"""A stall is when nothing moves; reading on to a late first frame is moving."""

import time

import pytest

from contanos.stage.progress import StageProgress
from video_analysis.control.stall import Stall
from video_analysis.pipeline import graph

GRAPH = graph("pose_first")
NOTHING_YET = {node.stage: StageProgress(0, 0, 0.0, None, None) for node in GRAPH.nodes}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test moves by hand."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_ingest_that_reads_on_does_not_stall(seconds: list[float]) -> None:
    stall = Stall(10)
    for read in range(5):
        seconds[0] += 9
        assert stall.look(GRAPH, NOTHING_YET, None, read) is None
    seconds[0] += 11
    assert stall.look(GRAPH, NOTHING_YET, None, 4) == "ingest"
