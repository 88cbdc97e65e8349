"""Frames a second of YOLOX alone over Kafka, with more and more worker processes.

    python -m bench.scale [VIDEO] [--frames 120] [--workers 1 2] [--tasks 4] [--codec jpeg:85]

All frames lie on the bus before the task is told of, and no other service runs, so that nothing but
the detector sets the pace. Each worker infers on one core (`CONTANOS_WORKERS=1`); it decodes and
speaks to Kafka beside that. Rates are by the times at which results were written, from the first to
the last; the first task of each deployment only warms up. Once one task has as many partitions as
there are workers, and once there are several tasks with one partition each.

With codec `source` a group of pictures lies in one partition, so a short clip may leave a worker
without work.
"""

import argparse
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from bench.deployment import BROKER, Deployment, Usage, deployed
from contanos.bus import Bus, TopicSpec, open_bus
from contanos.bus.topics import RAW_FRAMES, topic_name
from contanos.errors import BusError
from contanos.messages import EndOfStream, FrameResult
from contanos.models.fetch import fetch
from contanos.service.logs import log_to_stderr
from contanos.stage.contract import Task
from contanos.stage.tasks import Tasks
from contanos.video.codec import FrameCodec
from contanos.video.group import FrameGroup
from contanos.video.source import VideoSource
from video_analysis.control.books import Order
from video_analysis.control.prepare import make_job
from video_analysis.job import Job, read_task
from video_analysis.models import manifest
from video_analysis.settings import Options, Settings

STAGE = "yolox"
_QUIET = 120.0  # seconds without a result after which something is wrong


@dataclass(frozen=True, slots=True)
class Rate:
    """What some tasks amounted to.

    Attributes:
        frames: of all of them.
        seconds: from the first result to the last.
        usage: of each process, from the order on.
    """

    frames: int
    seconds: float
    usage: Usage

    @property
    def fps(self) -> float:
        """Frames a second."""
        return (self.frames - 1) / self.seconds

    @property
    def cores(self) -> float:
        """That the workers used, on average."""
        spent = sum(cpu for name, cpu in self.usage.cpu.items() if name != BROKER)
        return spent / self.usage.seconds


def main() -> None:
    """Print one line for each number of workers and kind of load."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", nargs="?", default="demo", help="file or sample name")
    parser.add_argument("--frames", type=int, default=120, help="of all tasks together")
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--tasks", type=int, default=4, help="of the load with several")
    parser.add_argument("--codec", type=FrameCodec.parse, default="jpeg:85", help="or source")
    given = parser.parse_args()
    log_to_stderr("warning")
    named = given.video in manifest().assets
    video = fetch(manifest()[given.video]) if named else Path(given.video)
    print(
        "| workers | one task, fps | cores | fps a core | several tasks, fps | cores | fps a core |"
    )
    print("| --- " * 7 + "|")
    for workers in given.workers:
        with _workers(workers) as deployment, _Feeder(deployment, video, given.codec) as feeder:
            feeder.run(tasks=1, partitions=workers, frames=max(8, given.frames // 8))
            one = feeder.run(tasks=1, partitions=workers, frames=given.frames)
            several = feeder.run(given.tasks, partitions=1, frames=given.frames // given.tasks)
        print(f"| {workers} | {_cells(one)} | {_cells(several)} |")


def _cells(rate: Rate) -> str:
    return f"{rate.fps:.2f} | {rate.cores:.2f} | {rate.fps / rate.cores:.2f}"


@contextmanager
def _workers(count: int) -> Iterator[Deployment]:
    names = [STAGE if i == 0 else f"{STAGE}-{i}" for i in range(count)]
    with deployed(names, {"CONTANOS_WORKERS": "1"}) as deployment:
        yield deployment


class _Feeder:
    """Puts whole tasks on the bus, and waits for what YOLOX makes of them."""

    def __init__(self, deployment: Deployment, video: Path, codec: FrameCodec) -> None:
        self._deployment = deployment
        self._video = video
        self._codec = codec
        self._settings = Settings(bus=deployment.url, frame_codec=str(codec))
        self._bus = open_bus(self._settings.bus, self._settings.kafka)

    def __enter__(self) -> "_Feeder":
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.close()

    def run(self, tasks: int, partitions: int, frames: int) -> Rate:
        """So many tasks of so many frames each."""
        jobs = [self._prepared(partitions, frames) for _ in range(tasks)]
        registry = Tasks(self._bus, read_task)
        before = self._deployment.usage()
        for job in jobs:
            registry.add(job.task_id, msgspec.json.encode(job))
        times = _times(self._bus, {job.task_id for job in jobs}, tasks * frames)
        usage = self._deployment.usage().since(before)
        for job in jobs:
            self._remove(job)
            registry.remove(job.task_id)
        return Rate(len(times), max(times) - min(times), usage)

    def _prepared(self, partitions: int, frames: int) -> Job:
        """A task whose frames and end lie on the bus."""
        task_id = f"scale-{secrets.token_hex(4)}"
        with self._codec.open(self._video) as source:
            settings = self._settings.model_copy(update={"partitions": partitions})
            job = make_job(_order(task_id, self._video), source, settings)
            task = read_task(msgspec.json.encode(job))
            for stage in (RAW_FRAMES, STAGE):  # without readers, so that nothing is waited for
                self._bus.create_topic(topic_name(stage, task_id), TopicSpec(partitions))
            self._publish(task, source, frames)
        return job

    def _publish(self, task: Task, source: VideoSource, frames: int) -> None:
        producer, topic = self._bus.producer(), topic_name(RAW_FRAMES, task.task_id)
        for number, group in enumerate(_groups(self._codec, source, frames)):
            producer.send(topic, group.frame_id, group, number % task.partitions)
        for partition in range(task.partitions):
            end = EndOfStream(
                task_id=task.task_id, frames=frames, reason="completed", partition=partition
            )
            producer.send(topic, frames, end, partition)
        producer.flush()

    def _remove(self, job: Job) -> None:
        for stage in (RAW_FRAMES, STAGE):
            self._bus.delete_topic(topic_name(stage, job.task_id))


def _groups(codec: FrameCodec, source: VideoSource, frames: int) -> Iterator[FrameGroup]:
    yield from islice(codec.groups(source, max_frames=frames), frames)


def _order(task_id: str, video: Path) -> Order:
    return Order(
        task_id=task_id, source=str(video), folder="", options=Options(), ordered=time.time()
    )


def _times(bus: Bus, wanted: Collection[str], frames: int) -> Sequence[float]:
    """When each result of these tasks was written, in seconds.

    Raises:
        BusError: some do not come.
    """
    consumer = bus.consumer(f"bench-{secrets.token_hex(4)}", [f"{STAGE}_"], None)
    times: list[float] = []
    seen = time.monotonic()
    try:
        while len(times) < frames:
            for record in consumer.poll(64, 0.5):
                value = record.value
                if isinstance(value, FrameResult) and value.task_id in wanted:
                    times.append(record.timestamp)
                    seen = time.monotonic()
            if time.monotonic() - seen > _QUIET:
                raise BusError(f"{len(times)} of {frames} results came, and no more")
    finally:
        consumer.close()
    return times


if __name__ == "__main__":
    main()
