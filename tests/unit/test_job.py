"""What a task's options make of it: its name, its length, and its first frame."""

from pathlib import Path

import msgspec
import pytest

from tests.unit.result_frames import ABOUT
from video_analysis.job import Job, Pictures, read_task
from video_analysis.run import natural_task_id
from video_analysis.settings import Options

JOB = Job(
    task_id="a",
    options=Options(),
    source="v.mp4",
    bytes=1,
    frames_estimate=None,
    folder="out",
    partitions=1,
    frame_codec="source",
    pictures=Pictures(
        width=64,
        height=48,
        time_base=(1, 25),
        rate=(25, 1),
        sample_aspect_ratio=(1, 1),
        matrix="BT709",
    ),
    metadata=msgspec.structs.replace(ABOUT, settings={}),
    started=0.0,
)


@pytest.mark.parametrize(
    ("estimate", "first", "limit", "expected"),
    [
        (None, 0, None, None),
        (None, 5, 7, 7),
        (100, 0, None, 100),
        (100, 30, None, 70),
        (100, 30, 50, 50),
        (100, 30, 90, 70),
        (100, 99, None, 1),
        (100, 100, None, None),  # the header may be wrong
        (100, 120, 10, 10),
    ],
)
def test_frames_expected(
    estimate: int | None, first: int, limit: int | None, expected: int | None
) -> None:
    options = Options(first_frame=first, max_frames=limit)
    job = msgspec.structs.replace(JOB, options=options, frames_estimate=estimate)
    assert job.frames_expected == expected


def test_stages_learn_of_the_first_frame() -> None:
    job = msgspec.structs.replace(JOB, options=Options(first_frame=9), partitions=3)
    task = read_task(msgspec.json.encode(job))
    assert (task.first_frame, task.partitions, task.options, task.job) == (9, 3, job.options, job)


def test_a_job_of_before_these_options_is_read() -> None:
    fields = msgspec.to_builtins(JOB)
    for name in ("first_frame", "blur"):
        del fields["options"][name]
    assert read_task(msgspec.json.encode(fields)).job == JOB


def test_later_options_leave_the_names_of_tasks_as_they_were(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    video.write_bytes(b"pictures")
    assert natural_task_id(video, Options()) == "01e6c69a944c2deb"
    assert natural_task_id(video, Options(max_frames=40)) == "caff5e3672f39b62"
    chosen = [Options(first_frame=1), Options(blur=True), Options(first_frame=1, blur=True)]
    assert len({natural_task_id(video, each) for each in (Options(), *chosen)}) == 4
