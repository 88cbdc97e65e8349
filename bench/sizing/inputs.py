"""The numbers that sizing rests on: measured here, or assumed; each says which.

CPU is in milliseconds of one core of the machine in `docs/measurements.md`.
"""

from typing import NamedTuple


class Measured(NamedTuple):
    """A number from this project's own machine.

    Attributes:
        value: in the unit that its name and text say.
        what: in words.
        command: prints it.
    """

    value: float
    what: str
    command: str


class Assumed(NamedTuple):
    """A number that nobody measured here.

    Attributes:
        value: in the unit that its name and text say.
        what: in words.
        why: where it comes from.
    """

    value: float
    what: str
    why: str


MEASURED = {
    "detector": Measured(42.0, "YOLOX-tiny, ms a frame", "bench.speed demo"),
    "pose": Measured(23.5, "RTMPose-s, ms a person", "bench.speed demo vtest"),
    "prepare": Measured(3.0, "making a network's input, ms a frame", "bench.speed demo"),
    "decode": Measured(9.0, "decoding the source, ms a frame of 1.76 MP", "bench.floor"),
    "encode": Measured(24.0, "libx264 veryfast, ms a frame of 1.76 MP", "bench.floor"),
    "draw": Measured(3.0, "drawing, ms a frame of 1.76 MP", "bench.speed demo"),
    "jpeg_encode": Measured(9.0, "a frame of 1.76 MP as JPEG 85, ms", "bench.codec"),
    "jpeg_decode": Measured(10.0, "and back, ms", "bench.codec"),
    "jpeg_bytes": Measured(329e3, "bytes of that JPEG", "bench.codec"),
    "result_bytes": Measured(880.0, "bytes of a result a person", "bench.bus demo"),
    "message": Measured(1.5, "CPU of reading, joining and writing a record, ms", "bench.bus demo"),
    "commit": Measured(3.0, "flush and commit, ms that a stage stands still", "bench.bus demo"),
    "hop": Measured(5.0, "one result over the bus, ms, median on an idle broker", "bench.bus demo"),
    "broker": Measured(
        5.0, "the broker's CPU, ms a frame: four records, 480 a second", "bench.bus demo"
    ),
    "track": Measured(0.4, "ByteTrack, ms a frame", "bench.tracking"),
    "process_memory": Measured(400.0, "resident memory of a service's process, MB", "bench.bus"),
}

ASSUMED = {
    "people": Assumed(3.0, "people in a frame", "a busy entrance; every one gets a pose"),
    "pixels": Assumed(1.18, "1080p beside the clip's 1.76 MP", "decoding and JPEG cost by pixel"),
    "bitrate": Assumed(5e6, "bits a second of H.264 1080p30", "usual setting of cameras"),
    "target": Assumed(0.7, "share of a server's time that is planned for", "room for bursts"),
    "gpu_detector": Assumed(2.0, "ms of a GPU a frame", "a card for inference of about 70 W"),
    "gpu_pose": Assumed(0.4, "ms of a GPU a person, in batches of 16", "the same card"),
    "replication": Assumed(3, "copies of each partition", "one broker may die, one be repaired"),
    "broker_partitions": Assumed(
        4000, "copies on one broker", "advice of Confluent and of Apache Kafka's blog"
    ),
    "broker_sent": Assumed(1.5e9, "bytes a second out of a broker", "60 % of 20 Gbit/s"),
    "broker_written": Assumed(0.5e9, "bytes a second onto a broker's disk", "half of one NVMe"),
    "broker_cores": Assumed(16.0, "cores of a broker", "a usual machine"),
    "lane_memory": Assumed(60.0, "MB of a lane's decoder", "16 pictures of 1080p, and some taken"),
    "metadata": Assumed(
        120.0, "bytes of a topic in an answer with all topics", "the fields of Kafka's protocol"
    ),
    "refresh": Assumed(
        3.0, "seconds between a consumer's questions for all topics", "contanos.bus.kafka.config"
    ),
    "rebalance": Assumed(1.3, "seconds of a rebalance", "two rounds, a heartbeat of 0.6 s each"),
}

FPS = 30.0
IN_FLIGHT = 96  # CONTANOS_FRAMES_IN_FLIGHT
POSE_BATCH = {"cpu": 4, "gpu": 16}  # people, `video_analysis.models.load`
POSE_LINGER = 0.25  # seconds, likewise
COMMIT_INTERVAL = 0.25  # seconds, of a stateless stage on Kafka
SNAPSHOT_FRAMES = 16  # of ByteTrack, between two commits
SEGMENT = 16 << 20  # bytes; a partition's newest segment stays on disk
MAPS = 2  # memory maps of a segment: its two indexes


def measured(name: str) -> float:
    """A number of `MEASURED`."""
    return MEASURED[name].value


def assumed(name: str) -> float:
    """A number of `ASSUMED`."""
    return ASSUMED[name].value
