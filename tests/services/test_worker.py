"""What each service carries, and says of itself."""

from collections.abc import Iterator

import pytest

from video_analysis.services import SERVICES
from video_analysis.services.worker import Worker, assemble
from video_analysis.settings import Settings


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = assemble(list(SERVICES), Settings(bus="memory://"))
    yield made
    made.stop()


def test_face_blur_is_bytetracks_guest(worker: Worker) -> None:
    info, board = worker.infos["bytetrack"], worker.boards["bytetrack"]
    assert info.stages == ("bytetrack", "faceblur")
    assert info.writes == ("bytetrack_<task_id>", "faceblur_<task_id>")
    assert info.reads == ("bytetrack_<task_id>", "rtmpose_<task_id>", "yolox_<task_id>")
    assert [each.stage for each in board.all] == ["bytetrack", "faceblur"]


def test_outputs_read_what_comes_last(worker: Worker) -> None:
    last = {f"{stage}_<task_id>" for stage in ("bytetrack", "rtmpose", "faceblur")}
    for name in ("annotation", "backend"):
        assert last <= set(worker.infos[name].reads)


def test_every_stage_is_counted_from_the_start(worker: Worker) -> None:
    counted = {
        sample.labels["stage"]
        for metric in worker.registry.collect()
        for sample in metric.samples
        if sample.name == "contanos_frames_total"
    }
    assert counted == {stage for each in SERVICES.values() for stage in each.stages}
