"""Services die, hang and come back, the broker too: every result stays the undisturbed one."""

import os
from pathlib import Path

import pytest

from contanos.testing.kafka import Broker
from tests.services.chaos import chaos
from tests.services.faults import schedule
from tests.services.installation import KINDS
from tests.services.rounds import Video

pytestmark = pytest.mark.long

KILLS = 20
SEED = int(os.environ.get("CHAOS_SEED", "3"))


def test_a_schedule_has_all_that_can_go_wrong() -> None:
    for kills in (20, 100):
        faults = schedule(kills, seed=1)
        assert sum(each.kills for each in faults) == kills
        assert {kind for each in faults for kind in each.kinds} == set(KINDS)
        assert {each.what for each in faults} == {"kill", "two", "closing", "freeze", "broker"}
        assert all(len(set(each.kinds)) == len(each.kinds) for each in faults)
        assert faults == schedule(kills, seed=1) != schedule(kills, seed=2)


@pytest.mark.timeout(900)  # some three minutes where nothing else runs
def test_whatever_dies_the_result_is_the_same(
    own_broker: Broker, demo_video: Path, vtest_video: Path, tmp_path: Path
) -> None:
    videos = {"demo": Video(demo_video, 230), "pets": Video(vtest_video, 200)}
    own_broker.start()
    report = chaos(own_broker, tmp_path, videos, KILLS, SEED)
    print(report)
    assert report.killed.total() >= KILLS
    assert set(report.killed) == set(KINDS)
    assert report.uncommitted
    assert report.rounds
