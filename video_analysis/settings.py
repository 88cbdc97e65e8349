"""Settings of an installation, from the environment; options of one task, from its user."""

import os
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contanos.errors import SettingError

if TYPE_CHECKING:
    from contanos.bus.kafka.settings import KafkaSettings

GraphName = Literal["pose_first", "track_first"]
RuntimeName = Literal["auto", "onnxruntime", "openvino"]
PrecisionName = Literal["auto", "f32", "bf16", "int8"]
ExportFormat = Literal["coco", "mot", "csv", "jsonl"]


_LEAST_IN_FLIGHT = 8


class Settings(BaseSettings):
    """How this installation works. Each field is the environment variable `CONTANOS_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="CONTANOS_", extra="ignore")

    bus: str = Field("memory://", description="The bus that stages talk over.")
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="How Kafka's brokers are spoken to: encrypted, with a login."
    )
    kafka_ca: str = Field("", description="File of the certificates that brokers are trusted by.")
    kafka_certificate: str = Field("", description="File of our own certificate, for brokers.")
    kafka_key: str = Field("", description="File of its private key.")
    kafka_key_password: SecretStr = Field(SecretStr(""), description="Password of that file.")
    kafka_mechanism: str = Field("SCRAM-SHA-512", description="SASL mechanism.")
    kafka_username: str = Field("", description="For SASL.")
    kafka_password: SecretStr = Field(SecretStr(""), description="For SASL.")
    kafka_session_seconds: float = Field(
        10.0, gt=0, description="Seconds after which a silent worker's tasks pass to another."
    )
    kafka_replication: int = Field(
        -1, ge=-1, description="Copies of each topic; -1 for the brokers' own default."
    )
    workers: int = Field(
        default_factory=lambda: usable_cores(),
        ge=1,
        le=256,
        description="Inferences that run at once in one process; each uses one core.",
    )
    frames_in_flight: int = Field(
        96,
        ge=8,
        le=4096,
        description="Frames of one task between ingest and its last stage, at most.",
    )
    frames_memory: int = Field(
        768 * 2**20,
        ge=2**20,
        description="Bytes of pixels of one task in flight, at most; large pictures get fewer "
        "frames in flight.",
    )
    partitions: int = Field(
        1,
        ge=1,
        le=64,
        description="Partitions over which one task's frames are spread, so that so many workers "
        "of a stateless stage can share it.",
    )
    frame_codec: str = Field(
        "source",
        description="How frames travel between processes: `source`, the file's own packets, or "
        "`jpeg:Q`, each frame alone with quality Q from 1 to 100.",
    )
    tasks_at_once: int = Field(
        64, ge=1, description="Tasks that one backend feeds at once; others wait their turn."
    )
    grace_seconds: float = Field(
        60.0, ge=0, description="Seconds after a task's end until its topics are deleted."
    )
    outcome_seconds: float = Field(
        86400.0, ge=0, description="Seconds for which it is remembered how a task ended."
    )
    stall_seconds: float = Field(
        300.0, gt=0, description="Seconds without any progress after which a task fails."
    )
    segment_frames: int = Field(
        32, ge=1, le=1024, description="Frames of one segment of the annotated video."
    )
    video_preset: str = Field("veryfast", description="libx264's preset for the annotated video.")
    video_crf: int = Field(23, ge=0, le=51, description="libx264's constant rate factor.")
    max_pixels: int = Field(
        8192 * 8192, ge=1, description="Width times height above which a video is refused."
    )
    max_frames: int = Field(
        2_000_000, ge=1, description="Frames that a video's header may claim at most."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severe log line that is written to standard error."
    )

    @property
    def kafka(self) -> "KafkaSettings":
        """How the brokers are reached."""
        from contanos.bus.kafka.settings import KafkaSettings  # a second, for those who need it

        return KafkaSettings(
            security_protocol=self.kafka_security,
            ca=self.kafka_ca,
            certificate=self.kafka_certificate,
            key=self.kafka_key,
            key_password=self.kafka_key_password.get_secret_value(),
            sasl_mechanism=self.kafka_mechanism,
            username=self.kafka_username,
            password=self.kafka_password.get_secret_value(),
            session_timeout=self.kafka_session_seconds,
            replication=self.kafka_replication,
        )

    @field_validator("frame_codec")
    @classmethod
    def _known_codec(cls, text: str) -> str:
        from contanos.video.codec import FrameCodec  # a second, for those who set it

        try:
            return str(FrameCodec.parse(text))
        except SettingError as e:
            raise ValueError(str(e)) from e

    def in_flight_for(self, width: int, height: int) -> int:
        """Frames of such a picture that may be in flight."""
        picture = width * height * 3 // 2
        return max(_LEAST_IN_FLIGHT, min(self.frames_in_flight, self.frames_memory // picture))

    def segment_frames_for(self, width: int, height: int) -> int:
        """Frames of one segment: they are in flight until it is complete, so at most half."""
        return min(self.segment_frames, self.in_flight_for(width, height) // 2)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How one task is to be processed.

    Attributes:
        graph: `pose_first` is YOLOX, RTMPose, ByteTrack; `track_first` tracks before it poses, so
            that people seen only faintly get poses too once they are tracked.
        detector: name of a detection model in the manifest.
        pose: name of a pose model in the manifest.
        runtime: what runs the models.
        precision: of the models' arithmetic.
        det_score: detections from this score on get a pose.
        first_frame: the number of the first frame to process; frames keep their numbers.
        max_frames: stop after so many frames.
        trail: frames that a person's trail reaches back.
        blur: whether faces are hidden in the annotated video.
        video: whether an annotated video is made.
    """

    graph: GraphName = "pose_first"
    detector: str = "yolox-tiny-humanart"
    pose: str = "rtmpose-s-halpe26"
    runtime: RuntimeName = "auto"
    precision: PrecisionName = "auto"
    det_score: float = 0.3
    first_frame: int = 0
    max_frames: int | None = None
    trail: int = 30
    blur: bool = False
    video: bool = True


def read_settings() -> Settings:
    """The installation's settings, from the environment.

    Raises:
        SettingError: one of them is not what it may be; all that are wrong are named.
    """
    try:
        return Settings()
    except ValidationError as e:
        faults = [f"CONTANOS_{each['loc'][0]}".upper() + f": {each['msg']}" for each in e.errors()]
        raise SettingError("; ".join(faults)) from e


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
