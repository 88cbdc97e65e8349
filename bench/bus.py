"""What Kafka costs: the same video on `memory://` and through services, in turn.

    python -m bench.bus [VIDEO] [--runs 3] [--max-frames N] [--codec source]

The broker and the services are real processes of this machine, kept running over all runs. Time is
from the order to the outcome, on `memory://` from the summary: starting Python and loading models
counts on neither side, and a short task goes before each run on both; its time is told too, since
it shows what every task costs, however short. The services have worked on the whole video once
before anything counts: a broker's Java compiles itself for a minute or two, at the cost of a fifth
of a core, and lives for months. While `memory://` runs, the services are frozen; the idle broker is
not. A task's topics are gone before the next one begins.

CPU is that of the services' processes and the broker while their last task ran, beside what
`bench.floor` says the networks, decoding and encoding cost alone; every process that reads frames
decodes them. The floor is timed by the clock with all cores busy, so on a machine that others use
too it is too high. Hops: see `bench.hops`; at the pace of a camera, on services that idle and on
services that are busy with the video.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import hops, overhead
from bench.deployment import BROKER, Deployment, Usage, deployed
from bench.one_run import WARM_UP
from contanos.bus import open_bus
from contanos.errors import BusError
from contanos.messages import FrameResult, encode
from contanos.models.fetch import fetch
from contanos.service.logs import log_to_stderr
from contanos.video.codec import FrameCodec
from contanos.video.record import to_record
from video_analysis.control.books import Books
from video_analysis.models import manifest
from video_analysis.remote import RemoteRun
from video_analysis.results.reader import open_results
from video_analysis.results.summary import Summary
from video_analysis.settings import Options, Settings

LIMIT = 1.25
RATE = 30.0  # frames a second of a camera
_MANY = 480.0  # records a second, of sixteen cameras
_SLOWEST = 5.0  # records a second, however many frames each holds
_RECORDS = 300  # timed, of messages; of frames, a third
_IDLE = 5.0  # seconds
_SWEPT = 60.0  # seconds until a task's topics must be gone


@dataclass(frozen=True, slots=True)
class Finished:
    """One run.

    Attributes:
        seconds: from the order to the outcome.
        short: the same of the short task before.
        frames: how many.
        people: posed, a frame.
        usage: of each process.
    """

    seconds: float
    short: float
    frames: int
    people: float
    usage: Usage


def main() -> int:
    """Print the tables; the exit status is 1 where Kafka takes more time than it may."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", nargs="?", default="demo", help="file or sample name")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--max-frames", type=int, default=100_000)
    parser.add_argument("--codec", type=FrameCodec.parse, default="source", help="or jpeg:Q")
    given = parser.parse_args()
    log_to_stderr("warning")
    named = given.video in manifest().assets
    video = fetch(manifest()[given.video]) if named else Path(given.video)
    environment = {"CONTANOS_FRAME_CODEC": str(given.codec), "CONTANOS_GRACE_SECONDS": "0"}
    with deployed(environment=environment) as services, tempfile.TemporaryDirectory() as folder:
        bench = Bench(video, given.max_frames, given.codec, services, Path(folder), environment)
        alone, remote = bench.in_turn(given.runs)
        print_times(video, str(given.codec), alone, remote)
        bench.print_overhead(alone, remote)
        bench.print_hops()
    return int(_ratio(alone, remote) > LIMIT)


class Bench:
    """One video on one deployment.

    Args:
        video: the file.
        frames: of it, at most.
        codec: how frames travel.
        services: where they run.
        folder: for outputs.
        environment: of what runs, besides our own.
    """

    def __init__(
        self,
        video: Path,
        frames: int,
        codec: FrameCodec,
        services: Deployment,
        folder: Path,
        environment: dict[str, str],
    ) -> None:
        self._video = video
        self._frames = frames
        self._codec = codec
        self._services = services
        self._folder = folder
        self._environment = environment

    def in_turn(self, runs: int) -> tuple[list[Finished], list[Finished]]:
        """Runs on `memory://` and through the services."""
        alone, remote = [], []
        self._remote(self._frames)
        for _ in range(runs):
            with self._services.frozen():
                alone.append(self._alone())
            self._remote(min(WARM_UP, self._frames))  # by members that are back
            short = self._remote(min(WARM_UP, self._frames))
            remote.append(replace(self._remote(self._frames), short=short.seconds))
        return alone, remote

    def print_overhead(self, alone: Sequence[Finished], remote: Sequence[Finished]) -> None:
        """CPU a frame."""
        last, idle = remote[-1], self._idle()
        spent = {name: 1000 * cpu / last.frames for name, cpu in last.usage.cpu.items()}
        with self._services.frozen():
            parts = overhead.floor(self._video, last.frames, last.people, self._codec)
        one = statistics.median(1000 * run.usage.cpu["run"] / run.frames for run in alone)
        overhead.print_table(spent, parts, self._services.memory(), idle, one)

    def print_hops(self) -> None:
        """Latency of one hop, of messages and of frames."""
        self._remote(min(WARM_UP, self._frames))
        results = list(open_results(self._folder))
        with self._codec.open(self._video) as source:
            frames = hops.groups(source, self._codec, most=30)
        print("\n| one hop | bytes | idle p50 ms | p99 | busy p50 ms | p99 | broker's CPU ms |")
        print("| --- " * 7 + "|")
        pace = max(_SLOWEST, RATE * len(frames) / sum(map(len, frames)))
        self._print_hop("a result", results, RATE, _RECORDS)
        self._print_hop(f"a result, {_MANY:g} a second", results, _MANY, int(10 * _MANY))
        self._print_commit(results[0])
        self._print_hop(f"frames, {self._codec}", frames, pace, _RECORDS // 3)

    def _print_hop(self, name: str, values: Sequence[object], rate: float, count: int) -> None:
        def measure() -> list[float]:
            return hops.milliseconds(self._services.url, values, rate, count)

        self._print_way(name, statistics.mean(map(_size, values)), measure)

    def _print_commit(self, value: FrameResult) -> None:
        def measure() -> list[float]:
            return hops.commits(self._services.url, value, _RECORDS)

        self._print_way("a result, flushed and committed", _size(value), measure)

    def _print_way(self, name: str, size: float, measure: Callable[[], list[float]]) -> None:
        """One line: on services that idle, and on busy ones; the broker's CPU while they idle."""
        resting = self._idle()[BROKER]
        before = self._services.usage()
        idle = measure()
        usage = self._services.usage().since(before)
        broker = (1000 * usage.cpu[BROKER] - resting * usage.seconds) / (len(idle) + hops.WARM_UP)
        with self._busy():
            busy = measure()
        cells = f"{hops.percentiles(idle)} | {hops.percentiles(busy)} | {broker:.2f}"
        print(f"| {name} | {size:.0f} | {cells} |")

    def _alone(self) -> Finished:
        command = [sys.executable, "-m", "bench.one_run", str(self._video), str(self._frames)]
        answer = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | self._environment,
        )
        told = json.loads(answer.stdout.splitlines()[-1])
        usage = Usage({"run": told["cpu"]}, told["seconds"])
        return Finished(told["seconds"], told["short"], told["frames"], told["people"], usage)

    def _remote(self, frames: int) -> Finished:
        run = self._order(frames)
        before, started = self._services.usage(), time.perf_counter()
        summary = run.work(lambda _: None)
        seconds = time.perf_counter() - started
        usage = self._services.usage().since(before)
        self._await_sweep()
        return _finished(summary, seconds, usage)

    def _idle(self) -> dict[str, float]:
        """CPU milliseconds a second of each process that has nothing to do."""
        before = self._services.usage()
        time.sleep(_IDLE)
        usage = self._services.usage().since(before)
        return {name: 1000 * cpu / usage.seconds for name, cpu in usage.cpu.items()}

    def _order(self, frames: int) -> RemoteRun:
        settings = Settings(bus=self._services.url)
        return RemoteRun(self._video, self._folder, Options(max_frames=frames), settings)

    def _await_sweep(self) -> None:
        """Wait until nothing of any task is on the bus, so that no run bears another's end."""
        bus = open_bus(self._services.url, Settings().kafka)
        try:
            orders = Books.on(bus).orders
            deadline = time.monotonic() + _SWEPT
            while orders.all():
                if time.monotonic() > deadline:
                    raise BusError("a finished task's topics were not removed")
                time.sleep(0.2)
        finally:
            bus.close()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """The services work on the video, again and again."""
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                with tempfile.TemporaryDirectory() as folder:
                    self._until(over, Path(folder))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            time.sleep(3)  # until the first frames are through
            yield
        finally:
            over.set()
            thread.join()
            self._await_sweep()

    def _until(self, over: threading.Event, folder: Path) -> None:
        settings = Settings(bus=self._services.url)
        run = RemoteRun(self._video, folder, Options(max_frames=self._frames), settings)
        run.work(lambda _: run.cancel() if over.is_set() else None)


def print_times(
    video: Path, codec: str, alone: Sequence[Finished], remote: Sequence[Finished]
) -> None:
    """Each run and the ratio of medians."""
    print(f"\n{video.name}: {remote[0].frames} frames, frame_codec {codec}")
    print(f"\n| seconds | memory:// | Kafka | ratio | {WARM_UP} frames, memory:// | Kafka |")
    print("| --- " * 6 + "|")
    for number, (a, b) in enumerate(zip(alone, remote, strict=True), 1):
        print(
            f"| run {number} | {a.seconds:.2f} | {b.seconds:.2f} | {b.seconds / a.seconds:.3f} | "
            f"{a.short:.2f} | {b.short:.2f} |"
        )
    short = [statistics.median(run.short for run in runs) for runs in (alone, remote)]
    print(
        f"| median | {_median(alone):.2f} | {_median(remote):.2f} | {_ratio(alone, remote):.3f} | "
        f"{short[0]:.2f} | {short[1]:.2f} |"
    )
    print(f"\nat most {LIMIT:.2f} is wanted")


def _median(runs: Sequence[Finished]) -> float:
    return statistics.median(run.seconds for run in runs)


def _ratio(alone: Sequence[Finished], remote: Sequence[Finished]) -> float:
    return _median(remote) / _median(alone)


def _finished(summary: Summary, seconds: float, usage: Usage) -> Finished:
    frames = summary.proof.published
    return Finished(seconds, 0.0, frames, summary.people.posed / frames, usage)


def _size(value: object) -> int:
    if isinstance(value, FrameResult):
        return len(encode(value))
    payload, headers = to_record(value)  # type: ignore[arg-type]
    return len(payload) + sum(len(name) + len(text) for name, text in headers)


if __name__ == "__main__":
    sys.exit(main())
