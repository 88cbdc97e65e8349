"""The records that travel between stages, and their JSON codec.

Field names are the contract (`docs/messages.md`). Messages are immutable: a stage answers with a
new one made by `msgspec.structs.replace`, which carries along what the stage does not know.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from contanos.errors import MessageError

SCHEMA = 1

Bbox = tuple[float, float, float, float]
Keypoint = tuple[float, float, float]
Reason = Literal["completed", "cancelled", "failed"]


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One person in one frame.

    Attributes:
        bbox: x1, y1, x2, y2 in source pixels; the origin is the top-left corner of the picture.
        score: the detector's confidence, 0 to 1.
        keypoints: x, y in source pixels and score, in the skeleton's order; None where no pose
            was estimated.
        track_id: positive and unique within the task; None before tracking, or where no track
            claims the detection.
        track_bbox: the track's own box, as `bbox`, smoothed over time; None without a track.
        extra: fields that this version does not know, kept as they came.
    """

    bbox: Bbox
    score: float
    keypoints: tuple[Keypoint, ...] | None = None
    track_id: int | None = None
    track_bbox: Bbox | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class FrameResult(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one frame after a stage.

    Attributes:
        task_id: the task that owns the frame.
        frame_id: 0 for the first frame, in presentation order, without gaps.
        pts: presentation time in units of `time_base`.
        time_base: numerator and denominator of the unit of `pts`, in seconds.
        width: of the source picture after rotation, in pixels.
        height: likewise.
        stage: the stage that wrote this record.
        error: why a stage could not process the frame; its detections are then empty.
        detections: the people in the frame.
        partition: of the raw frames, where the frame's pixels lie.
        extra: fields that this version does not know, kept as they came.
    """

    task_id: str
    frame_id: int
    pts: int
    time_base: tuple[int, int]
    width: int
    height: int
    stage: str
    error: str | None = None
    detections: tuple[Detection, ...] = ()
    partition: int = 0
    extra: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Presentation time in seconds."""
        return self.pts * self.time_base[0] / self.time_base[1]


class EndOfStream(msgspec.Struct, frozen=True, kw_only=True):
    """The last record of a topic, or of each writer where several write one.

    Attributes:
        task_id: the task that ended.
        frames: how many the whole stream had; for `cancelled`, no frame beyond these was begun.
        reason: why the stream ended.
        partition: of the raw frames, the end of which this is.
        cause: for `failed`, what went wrong, in words for a person.
    """

    task_id: str
    frames: int
    reason: Reason
    partition: int = 0
    cause: str | None = None


Message = FrameResult | EndOfStream
T = TypeVar("T")

_FRAME_KEYS = frozenset(FrameResult.__struct_fields__) - {"extra"} | {"schema"}
_DETECTION_KEYS = frozenset(Detection.__struct_fields__) - {"extra"}
_decoder = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """One message as JSON."""
    if isinstance(message, EndOfStream):
        return _encoder.encode(
            {"schema": SCHEMA, "end_of_stream": True} | msgspec.structs.asdict(message)
        )
    fields = msgspec.structs.asdict(message)
    fields["detections"] = [_flat(detection) for detection in message.detections]
    return _encoder.encode({"schema": SCHEMA} | _merged(fields))


def decode(value: bytes) -> Message:
    """The message in `value`.

    Raises:
        MessageError: not JSON, another schema's number, or a field of the wrong type.
    """
    try:
        fields = _decoder.decode(value)
        if fields.get("schema") != SCHEMA:
            raise MessageError(f"schema {fields.get('schema')!r}, this version reads {SCHEMA}")
        if fields.get("end_of_stream"):
            return msgspec.convert(fields, EndOfStream)
        return msgspec.convert(_split(fields, _FRAME_KEYS), FrameResult)
    except (msgspec.MsgspecError, TypeError, AttributeError) as e:
        raise MessageError(f"not a message: {e}") from e


def _flat(detection: Detection) -> dict[str, Any]:
    return _merged(msgspec.structs.asdict(detection))


def _merged(fields: dict[str, Any]) -> dict[str, Any]:
    extra = fields.pop("extra")
    return fields | extra if extra else fields


def _split(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """`fields` with what is not `known` moved into `extra`, here and in each detection."""
    known_fields = {key: value for key, value in fields.items() if key in known}
    known_fields["extra"] = _unknown(fields, known)
    if known is _FRAME_KEYS:
        detections = fields.get("detections", ())
        known_fields["detections"] = [_split(each, _DETECTION_KEYS) for each in detections]
    return known_fields


def _unknown(fields: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in known}
