"""Streams through a chain of stages, event by event.

A stage has workers, and a worker has stations that a frame passes in order: the thread that reads,
decodes, joins and writes, then a pool that infers in batches. A stream's frames are spread over
lanes, as over partitions; each lane belongs to one worker of a stage for good, dealt out evenly as
the sticky assignor does. A stage takes a lane's frames in their order. A camera whose frames in
flight are at their limit drops the next one.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

_JITTER = 16  # shape of the gamma distribution of times: a quarter of the mean is usual deviation
_SLACK, _GROWTH = 0.5, 0.02  # seconds, and seconds a second, that a stream may lag more than before


@dataclass(frozen=True, slots=True)
class Station:
    """Servers of one kind in a worker.

    Attributes:
        name: for people.
        servers: that work at once.
        frame: seconds a frame.
        unit: seconds a unit of a full batch, a person for example; a batch is as dear when it is
            not full.
        batch: units of a batch; 0 where frames go one by one.
        linger: seconds that a frame waits for its batch to fill.
    """

    name: str
    servers: int
    frame: float
    unit: float = 0.0
    batch: int = 0
    linger: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One service.

    Attributes:
        name: of it.
        workers: processes.
        stations: in the order in which a frame passes them.
        lanes: partitions of a stream.
    """

    name: str
    workers: int
    stations: tuple[Station, ...]
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in.

    Attributes:
        streams: how many.
        fps: of each.
        units: of a frame, on average; their number is a Poisson variable.
        in_flight: frames of a stream between its source and the last stage, at most.
        release: so many frames at once make room when they are done: a segment.
        hop: seconds from one stage to the next.
    """

    streams: int
    fps: float
    units: float
    in_flight: int
    release: int = 1
    hop: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; rates and times are of the measured part, counts of everything.

    Attributes:
        arrived: frames that cameras gave.
        dropped: of these, those that found no room.
        finished: those that passed every stage.
        inside: those on their way at the end.
        throughput: frames finished a second.
        latencies: of finished frames, in seconds, sorted.
        busy: by station, each worker's share of its servers' time.
        behind: streams that dropped frames or lag more and more.
    """

    arrived: int
    dropped: int
    finished: int
    inside: int
    throughput: float
    latencies: Sequence[float]
    busy: dict[str, list[float]]
    behind: int

    def latency(self, share: float) -> float:
        """Seconds within which that share of the frames is through; infinite where none is."""
        if not self.latencies:
            return math.inf
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]

    def utilisation(self, station: str) -> float:
        """Of all workers."""
        return fmean(self.busy[station])

    @property
    def keeps_up(self) -> bool:
        """Whether no stream is behind."""
        return self.behind == 0


def simulate(
    stages: Sequence[Stage], load: Load, seconds: float, warm_up: float, seed: int
) -> Outcome:
    """Play `seconds`, of which the first `warm_up` are not measured. A seed decides all."""
    return _Simulation(stages, load, seconds, warm_up, seed).run()


class _Frame:
    __slots__ = ("born", "entered", "number", "stream", "units")

    def __init__(self, stream: int, number: int, units: int, born: float) -> None:
        self.stream, self.number, self.units = stream, number, units
        self.born = self.entered = born


class _Server:
    """A station of one worker."""

    __slots__ = ("busy", "free", "next", "queue", "spec", "units", "wakes")

    def __init__(self, spec: Station, following: Callable[[_Frame], None]) -> None:
        self.spec = spec
        self.free = spec.servers
        self.queue: deque[_Frame] = deque()
        self.units = 0
        self.busy = 0.0
        self.wakes = 0.0
        self.next = following


class _Entry:
    """Where a stage takes in frames, in each lane's order."""

    def __init__(self, stage: Stage, heads: Sequence[Callable[[_Frame], None]]) -> None:
        self.lanes = stage.lanes
        self.heads = heads  # by stream and lane
        self._expected = [at % stage.lanes for at in range(len(heads))]
        self._early: dict[tuple[int, int], _Frame] = {}

    def take(self, frame: _Frame) -> None:
        lane = frame.stream * self.lanes + frame.number % self.lanes
        self._early[lane, frame.number] = frame
        while (due := self._early.pop((lane, self._expected[lane]), None)) is not None:
            self._expected[lane] += self.lanes
            self.heads[lane](due)


class _Simulation:
    def __init__(
        self, stages: Sequence[Stage], load: Load, seconds: float, warm_up: float, seed: int
    ) -> None:
        self._load = load
        self._end, self._start = seconds, warm_up
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._now = 0.0
        self._admitted = [0] * load.streams
        self._done = [0] * load.streams
        self._dropped = [0] * load.streams
        self._dropped_before = [0] * load.streams
        self._lag = [0] * load.streams
        self._arrived = self._finished = 0
        self._latencies: list[float] = []
        self._servers: dict[str, list[_Server]] = {}
        following: Callable[[_Frame], None] = self._finish
        for stage in reversed(stages):
            following = self._after_hop(self._enter(stage, following))
        self._first = following

    def run(self) -> Outcome:
        for stream in range(self._load.streams):
            self._at(self._random.random() / self._load.fps, self._arrival(stream))
        self._at(self._start, self._note_lag)
        while self._events and self._events[0][0] <= self._end:
            self._now, _, event = heapq.heappop(self._events)
            event()
        return self._outcome()

    def _at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def _arrival(self, stream: int) -> Callable[[], None]:
        load = self._load

        def arrive() -> None:
            self._at(self._now + 1 / load.fps, arrive)
            self._arrived += 1
            gone = self._done[stream] - self._done[stream] % load.release
            if self._admitted[stream] - gone >= load.in_flight:
                self._dropped[stream] += 1
                return
            frame = _Frame(stream, self._admitted[stream], self._poisson(load.units), self._now)
            self._admitted[stream] += 1
            self._first(frame)

        return arrive

    def _after_hop(self, following: Callable[[_Frame], None]) -> Callable[[_Frame], None]:
        def send(frame: _Frame) -> None:
            self._at(self._now + self._load.hop, lambda: following(frame))

        return send

    def _enter(self, stage: Stage, following: Callable[[_Frame], None]) -> Callable[[_Frame], None]:
        """The stage's workers, and the function that gives them a frame."""
        workers = [self._worker(stage, following) for _ in range(stage.workers)]
        lanes = list(range(self._load.streams * stage.lanes))
        self._random.shuffle(lanes)
        heads = [workers[0]] * len(lanes)
        for turn, lane in enumerate(lanes):
            heads[lane] = workers[turn % len(workers)]
        return _Entry(stage, heads).take

    def _worker(
        self, stage: Stage, following: Callable[[_Frame], None]
    ) -> Callable[[_Frame], None]:
        for station in reversed(stage.stations):
            server = _Server(station, following)
            self._servers.setdefault(f"{stage.name} {station.name}".strip(), []).append(server)
            following = self._queue(server)
        return following

    def _queue(self, server: _Server) -> Callable[[_Frame], None]:
        def queue(frame: _Frame) -> None:
            frame.entered = self._now
            server.queue.append(frame)
            server.units += frame.units
            self._serve(server)

        return queue

    def _serve(self, server: _Server) -> None:
        while server.free and server.queue:
            if not self._worth_starting(server):
                return
            self._begin(server, self._batch(server))

    def _worth_starting(self, server: _Server) -> bool:
        """Whether a batch is full, or waited long enough; otherwise look again when it has."""
        spec = server.spec
        due = server.queue[0].entered + spec.linger
        if server.units >= spec.batch or server.units == 0 or due <= self._now:
            return True
        if server.wakes < due:
            server.wakes = due
            self._at(due, lambda: self._serve(server))
        return False

    def _batch(self, server: _Server) -> list[_Frame]:
        frames = [server.queue.popleft()]
        units = frames[0].units
        while server.queue and units < server.spec.batch:
            frames.append(server.queue.popleft())
            units += frames[-1].units
        server.units -= units
        return frames

    def _begin(self, server: _Server, frames: list[_Frame]) -> None:
        took = self._time(server.spec, frames)
        server.free -= 1
        server.busy += max(0.0, min(self._end, self._now + took) - max(self._start, self._now))

        def done() -> None:
            server.free += 1
            for frame in frames:
                server.next(frame)
            self._serve(server)

        self._at(self._now + took, done)

    def _time(self, spec: Station, frames: Sequence[_Frame]) -> float:
        units = sum(frame.units for frame in frames)
        filled = math.ceil(units / spec.batch) * spec.batch if spec.batch else units
        mean = spec.frame * len(frames) + spec.unit * filled
        return self._random.gammavariate(_JITTER, mean / _JITTER) if mean else 0.0

    def _finish(self, frame: _Frame) -> None:
        self._done[frame.stream] += 1
        self._finished += 1
        if self._now >= self._start:
            self._latencies.append(self._now - frame.born)

    def _note_lag(self) -> None:
        self._lag = [a - d for a, d in zip(self._admitted, self._done, strict=True)]
        self._dropped_before = list(self._dropped)

    def _outcome(self) -> Outcome:
        span = self._end - self._start
        busy = {
            name: [server.busy / (span * server.spec.servers) for server in servers]
            for name, servers in reversed(self._servers.items())
        }
        return Outcome(
            arrived=self._arrived,
            dropped=sum(self._dropped),
            finished=self._finished,
            inside=sum(self._admitted) - self._finished,
            throughput=len(self._latencies) / span,
            latencies=sorted(self._latencies),
            busy=busy,
            behind=sum(map(self._is_behind, range(self._load.streams))),
        )

    def _is_behind(self, stream: int) -> bool:
        """Dropped a frame while measured, or has more of them waiting than chance explains."""
        lag = self._admitted[stream] - self._done[stream]
        slack = self._load.fps * (_SLACK + _GROWTH * (self._end - self._start))
        return self._dropped[stream] > self._dropped_before[stream] or (
            lag - self._lag[stream] > slack
        )

    def _poisson(self, mean: float) -> int:
        """By Knuth's product of uniform variables; means here are small."""
        limit, product, found = math.exp(-mean), self._random.random(), 0
        while product > limit:
            product *= self._random.random()
            found += 1
        return found
