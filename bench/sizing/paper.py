"""What so many streams need, counted.

Every stage gets the fewest workers on which no thread is planned to be busy for more than the
target share of its time, when its lanes are dealt out evenly. A lane cannot be divided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.sizing.inputs import (
    COMMIT_INTERVAL,
    FPS,
    IN_FLIGHT,
    MAPS,
    POSE_BATCH,
    POSE_LINGER,
    SEGMENT,
    SNAPSHOT_FRAMES,
    assumed,
    measured,
)
from bench.sizing.simulation import Load, Stage, Station
from video_analysis.pipeline import graph
from video_analysis.settings import GraphName

Device = Literal["cpu", "gpu"]
Codec = Literal["source", "jpeg"]

GRAPHS: tuple[GraphName, ...] = ("pose_first", "track_first")
POOL = {"yolox": 2, "rtmpose": 4}  # inferences at once in a process (CONTANOS_WORKERS)
_INGEST_THREADS = 4
_MS = 1e-3


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is wanted.

    Attributes:
        streams: cameras at once, 1080p30.
        codec: how frames travel: a camera's own packets, or JPEGs.
        device: what the networks run on.
        partitions: over which each stream's frames are spread.
        lifetime: seconds that a stream lasts.
    """

    streams: int
    codec: Codec
    device: Device
    partitions: int = 1
    lifetime: float = 8 * 3600.0

    @property
    def load(self) -> Load:
        """What the simulation is given."""
        hop = measured("hop") * _MS
        return Load(self.streams, FPS, assumed("people"), IN_FLIGHT, hop=hop)


def stages(scenario: Scenario) -> list[Stage]:
    """The services with as many workers as they need; data only, without an annotated video."""
    found = [
        _stage("ingest", [_ingest(scenario)], 1),
        _stage("yolox", _yolox(scenario), scenario.partitions),
        _stage("rtmpose", _rtmpose(scenario), scenario.partitions),
        _stage("bytetrack", [_bytetrack()], 1),
        _stage("results", [_serial("", measured("message"))], 1),
    ]
    counted = {each.name: workers(each, scenario.streams) for each in found}
    counted["ingest"] = counted["results"] = max(
        counted["ingest"], counted["results"]
    )  # one process
    return [replace(each, workers=counted[each.name]) for each in found]


def workers(stage: Stage, streams: int) -> int:
    """Processes that so many streams need."""
    return math.ceil(streams * stage.lanes / lanes_a_worker(stage))


def lanes_a_worker(stage: Stage) -> int:
    """Lanes that one process is planned to carry; at least one."""
    most = min(assumed("target") / lane_load(each, stage.lanes) for each in stage.stations)
    return max(1, math.floor(most))


def lane_load(station: Station, lanes: int) -> float:
    """The share of a station's servers that one lane keeps busy."""
    people = assumed("people")
    units = people * padding(people, station.batch) if station.unit else 0.0
    return (station.frame + station.unit * units) * FPS / lanes / station.servers


def padding(units: float, batch: int) -> float:
    """How much more a batch costs than what is in it, on average.

    A batch takes whole frames until it is full, with a number of units each that is a Poisson
    variable, and pays for as many full batches as that takes.
    """
    chances = [_poisson(units, k) for k in range(int(units + 10 * math.sqrt(units)) + 10)]
    after = {0: 1.0}  # units in an unfinished batch, and how often that happens in one
    filled = paid = 0.0
    for held in range(batch):
        often = after.pop(held, 0.0) / (1 - chances[0])
        for more, chance in enumerate(chances[1:], 1):
            now = held + more
            if now < batch:
                after[now] = after.get(now, 0.0) + often * chance
            else:
                filled += often * chance * now
                paid += often * chance * math.ceil(now / batch) * batch
    return paid / filled if filled else 1.0


def fewer(found: Sequence[Stage], share: float) -> list[Stage]:
    """The same cluster with that share of each stage's workers gone, rounded up."""
    gone = [replace(each, workers=each.workers - math.ceil(each.workers * share)) for each in found]
    return [replace(each, workers=max(1, each.workers)) for each in gone]


def cores(scenario: Scenario) -> float:
    """Of CPU that the workers are busy on, on average."""
    found = stages(scenario)
    on_gpu = {"yolox", "rtmpose"} if scenario.device == "gpu" else set()
    loads = [
        lane_load(station, stage.lanes) * station.servers * stage.lanes
        for stage in found
        for station in stage.stations
        if not (stage.name in on_gpu and station.name == "pool")
    ]
    return scenario.streams * sum(loads)


def gpus(scenario: Scenario) -> int:
    """Cards, at the target share of their time; processes share them."""
    if scenario.device == "cpu":
        return 0
    each = assumed("gpu_detector") + assumed("gpu_pose") * assumed("people")
    return math.ceil(scenario.streams * FPS * each * _MS / assumed("target"))


def video_fps() -> float:
    """Frames a second of one stream that one process can annotate: one thread does it all."""
    spent = (measured("decode") + measured("draw") + measured("encode")) * assumed("pixels")
    return 1000 / (spent + measured("message"))


@dataclass(frozen=True, slots=True)
class Kafka:
    """What the brokers bear.

    Attributes:
        topics: of tasks, those of states among them.
        copies: of partitions, over all brokers.
        written: bytes a second that producers send.
        sent: bytes a second to consumers and other brokers.
        disk: bytes that lie on disk at most, over all brokers.
        cores: that brokers are busy on.
        brokers: how many.
        bound: what decides that.
        consumers: members of groups.
        metadata: bytes a second of answers that name all topics.
        changes: rebalances an hour of each group, since streams begin and end.
        rebalancing: share of the time that a group spends in them.
    """

    topics: int
    copies: int
    written: float
    sent: float
    disk: float
    cores: float
    brokers: int
    bound: str
    consumers: int
    metadata: float
    changes: float
    rebalancing: float

    @property
    def maps(self) -> float:
        """Memory maps of the indexes on one broker, two segments a partition."""
        return self.copies / self.brokers * MAPS * 2


def kafka(scenario: Scenario) -> Kafka:
    """The brokers that a scenario needs."""
    topics, partitions, readers = _topics(scenario)
    replication = assumed("replication")
    raw, results = _bytes_a_second(scenario)
    written = raw + results
    sent = raw * readers + results * 4 / 3 + written * (replication - 1)
    copies = int(partitions * replication)
    busy = scenario.streams * FPS * measured("broker") * _MS * replication
    needs = {
        "its number of brokers for copies": replication,
        "partitions": copies / assumed("broker_partitions"),
        "network": sent / assumed("broker_sent"),
        "disk": written * replication / assumed("broker_written"),
        "CPU": busy / assumed("target") / assumed("broker_cores"),
    }
    bound = max(needs, key=lambda name: needs[name])
    consumers = _consumers(scenario)
    changes = 2 * scenario.streams / scenario.lifetime
    return Kafka(
        topics=topics,
        copies=copies,
        written=written,
        sent=sent,
        disk=copies * 2 * SEGMENT,
        cores=busy,
        brokers=math.ceil(needs[bound]),
        bound=bound,
        consumers=consumers,
        metadata=consumers * topics * assumed("metadata") / assumed("refresh"),
        changes=3600 * changes,
        rebalancing=min(1.0, changes * assumed("rebalance")),
    )


def memory(scenario: Scenario) -> float:
    """Bytes of all workers: processes, and what each lane's pixels take."""
    found = stages(scenario)
    processes = sum(each.workers for each in found if each.name != "results")
    lanes = 3 * scenario.streams * scenario.partitions  # ingest, yolox and rtmpose decode
    return (processes * measured("process_memory") + lanes * assumed("lane_memory")) * 1e6


def _topics(scenario: Scenario) -> tuple[int, int, int]:
    """Topics and partitions of all tasks, and groups that read raw frames."""
    wired = graph("pose_first", video=False)
    names = [None, *(node.stage for node in wired.nodes if node.output)]
    specs = [wired.topic(name, scenario.partitions, 1) for name in names]
    states = sum(spec.states for spec in specs)
    partitions = sum(spec.partitions for spec in specs) + states
    topics = len(specs) + states
    return topics * scenario.streams, partitions * scenario.streams, len(wired.readers_of(None))


def _bytes_a_second(scenario: Scenario) -> tuple[float, float]:
    """Of raw frames and of results, in."""
    packets = assumed("bitrate") / 8
    pictures = measured("jpeg_bytes") * assumed("pixels") * FPS
    result = measured("result_bytes") * assumed("people") * FPS
    raw = packets if scenario.codec == "source" else pictures
    return raw * scenario.streams, 2.2 * result * scenario.streams  # yolox's have no keypoints


def _consumers(scenario: Scenario) -> int:
    """A member of each graph's group in every process; the backend carries the results."""
    return len(GRAPHS) * sum(each.workers for each in stages(scenario) if each.name != "results")


def _stage(name: str, stations: Sequence[Station], lanes: int) -> Stage:
    return Stage(name, 1, tuple(stations), lanes)


def _ingest(scenario: Scenario) -> Station:
    spent = measured("decode")
    if scenario.codec == "jpeg":
        spent += measured("jpeg_encode")
    frame = spent * assumed("pixels") + measured("message")
    return Station("", _INGEST_THREADS, frame * _MS)


def _yolox(scenario: Scenario) -> list[Station]:
    if scenario.device == "gpu":
        return [_reader(scenario), _shared("pool", assumed("gpu_detector"), 0.0, 0)]
    frame = (measured("detector") + measured("prepare")) * _MS
    return [_reader(scenario), Station("pool", POOL["yolox"], frame)]


def _rtmpose(scenario: Scenario) -> list[Station]:
    batch = POSE_BATCH[scenario.device]
    if scenario.device == "gpu":
        return [_reader(scenario), _shared("pool", 0.0, assumed("gpu_pose"), batch)]
    pool = Station(
        "pool",
        POOL["rtmpose"],
        measured("prepare") * _MS,
        measured("pose") * _MS,
        batch,
        POSE_LINGER,
    )
    return [_reader(scenario), pool]


def _shared(name: str, frame: float, unit: float, batch: int) -> Station:
    """A fourth of a card: four processes share one."""
    return Station(name, 1, 4 * frame * _MS, 4 * unit * _MS, batch, POSE_LINGER if batch else 0.0)


def _reader(scenario: Scenario) -> Station:
    """The thread that reads, decodes, writes and commits; the pool waits for nobody else."""
    name = "decode" if scenario.codec == "source" else "jpeg_decode"
    spent = measured(name) * assumed("pixels") + measured("message")
    commits = min(1.0, 1 / (COMMIT_INTERVAL * FPS / scenario.partitions))
    return _serial("reader", spent + commits * measured("commit"))


def _bytetrack() -> Station:
    spent = measured("track") + measured("message") + measured("commit") / SNAPSHOT_FRAMES
    return _serial("", spent)


def _poisson(mean: float, k: int) -> float:
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))


def _serial(name: str, milliseconds: float) -> Station:
    return Station(name, 1, milliseconds * _MS)
