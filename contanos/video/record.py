"""A `FrameGroup` as the value and the headers of one record on the bus.

The value is the payload as it is. Headers are text: `codec`, `matrix` and `source_id` plain, all
others JSON.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from contanos.errors import MessageError
from contanos.messages import SCHEMA
from contanos.video.container import Unpacked
from contanos.video.frame import Matrix
from contanos.video.group import JPEG, FrameGroup, Place
from contanos.video.jpeg import check_jpeg
from contanos.video.limits import Limits
from contanos.video.orientation import Orientation
from contanos.video.packets import MAX_PACKETS

Header = tuple[str, bytes]

MAX_RECORD_BYTES = 8 << 20
_PLAIN = frozenset({"codec", "matrix", "source_id"})
_TURNS = ((False, False), (True, True), (False, True), (True, False))  # transpose, flip_y
_INT64 = Meta(ge=-(2**63), le=2**63 - 1)
_Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Index = Annotated[int, Meta(ge=0, lt=MAX_PACKETS)]
_PerFrame = Meta(max_length=MAX_PACKETS)


class _Headers(msgspec.Struct, kw_only=True, forbid_unknown_fields=False):
    """What the headers say; see `to_record` for what each one means."""

    schema: int
    frame_id: _Natural
    frames: _Positive
    pts: Annotated[list[Annotated[int, _INT64]], _PerFrame]
    durations: Annotated[list[Annotated[int, _INT64]], _PerFrame]
    time_base: tuple[_Positive, _Positive]
    width: _Positive
    height: _Positive
    matrix: str
    codec: str
    source_id: str
    rotation: int = 0
    mirrored: bool = False
    full_range: bool = True
    packets: Annotated[list[_Index], _PerFrame] = []
    errors: dict[_Index, str] = {}
    damaged: Annotated[list[_Index], _PerFrame] = []


def to_record(group: FrameGroup) -> tuple[bytes, list[Header]]:
    """The value and the headers of a record.

    - `schema`: version of the messages
    - `frame_id`, `frames`: the first frame's, and how many there are, without gaps
    - `pts`, `durations`: of each frame, in units of `time_base`; a duration is 0 where unknown
    - `time_base`: numerator and denominator, in seconds
    - `width`, `height`: in pixels, after rotation
    - `rotation`, `mirrored`: to be shown, a stored picture is turned counter-clockwise by so many
      degrees, then mirrored left to right
    - `matrix`: `BT601`, `BT709` or `BT2020`
    - `full_range`: the stored pictures use all levels, 0 to 255
    - `codec`: `jpeg` where the value is one JPEG file, or empty without a picture; otherwise the
      canonical name of the source's codec, and the value holds its packets in NUT
    - `packets`: for each frame, the number of its packet in the NUT file; empty for `jpeg`
    - `errors`: why frames have no picture, by their place in the group
    - `damaged`: places of the frames in which the source's decoder concealed errors
    - `source_id`: what the frames are of
    """
    fields = msgspec.structs.asdict(_headers(group))
    return group.payload, [
        (name, value.encode() if name in _PLAIN else msgspec.json.encode(value))
        for name, value in fields.items()
    ]


def from_record(value: bytes, headers: Iterable[Header]) -> FrameGroup:
    """The group in a record; nothing of it is decoded.

    Raises:
        MessageError: a header is missing or wrong, or the value is not what the headers say.
    """
    given = list(headers)
    if len(value) + sum(len(text or b"") for _, text in given) > MAX_RECORD_BYTES:
        raise MessageError(f"a record of frames is larger than {MAX_RECORD_BYTES} bytes")
    found = _parsed(given)
    _check(found)
    group = _group(value, found)
    _check_value(group)
    return group


def _headers(group: FrameGroup) -> _Headers:
    places = list(enumerate(group.places))
    rotation, mirrored = _rotation(group.orientation)
    return _Headers(
        schema=SCHEMA,
        frame_id=group.frame_id,
        frames=len(group),
        pts=[place.pts for place in group.places],
        durations=[place.duration for place in group.places],
        time_base=(group.time_base.numerator, group.time_base.denominator),
        width=group.width,
        height=group.height,
        matrix=group.matrix.name,
        codec=group.codec,
        source_id=group.source_id,
        rotation=rotation,
        mirrored=mirrored,
        full_range=group.full_range,
        packets=list(group.packets),
        errors={at: place.error for at, place in places if place.error is not None},
        damaged=[at for at, place in places if place.damaged],
    )


def _parsed(headers: Sequence[Header]) -> _Headers:
    try:
        fields: dict[str, Any] = {}
        for name, text in headers:
            if name in _Headers.__struct_fields__:
                fields[name] = text.decode() if name in _PLAIN else msgspec.json.decode(text)
        return msgspec.convert(fields, _Headers, str_keys=True)
    except (msgspec.MsgspecError, UnicodeError, AttributeError, TypeError, RecursionError) as e:
        raise MessageError(f"not the headers of a record of frames: {e}") from e


def _check(found: _Headers) -> None:
    wrong = None
    if found.schema != SCHEMA:
        wrong = f"schema {found.schema}, this version reads {SCHEMA}"
    elif not found.frames == len(found.pts) == len(found.durations):
        wrong = f"{found.frames} frames, but {len(found.pts)} pts, {len(found.durations)} durations"
    elif any(a >= b for a, b in zip(found.pts, found.pts[1:], strict=False)):
        wrong = "pts that do not grow"
    elif found.width * found.height > Limits().max_pixels:
        wrong = f"{found.width} x {found.height} pixels are more than are allowed"
    elif found.matrix not in Matrix.__members__ or found.rotation not in (0, 90, 180, 270):
        wrong = f"matrix {found.matrix!r} or rotation {found.rotation} unknown"
    elif not found.errors.keys() | set(found.damaged) <= set(range(found.frames)):
        wrong = "an error or a damage of a frame that is not in the group"
    elif found.codec == JPEG and found.frames > 1:
        wrong = "more than one frame in a JPEG"
    elif found.codec != JPEG and len(set(found.packets)) != found.frames:
        wrong = "not one packet for each frame"
    if wrong is not None:
        raise MessageError(f"a record of frames contradicts itself: {wrong}")


def _group(value: bytes, found: _Headers) -> FrameGroup:
    damaged = set(found.damaged)
    return FrameGroup(
        frame_id=found.frame_id,
        places=tuple(
            Place(pts, duration, found.errors.get(at), at in damaged)
            for at, (pts, duration) in enumerate(zip(found.pts, found.durations, strict=True))
        ),
        time_base=Fraction(*found.time_base),
        width=found.width,
        height=found.height,
        matrix=Matrix[found.matrix],
        codec=found.codec,
        payload=value,
        packets=tuple(found.packets),
        orientation=_orientation(found.rotation, found.mirrored),
        full_range=found.full_range,
        source_id=found.source_id,
    )


def _check_value(group: FrameGroup) -> None:
    if group.codec == JPEG:
        if group.places[0].error is None:
            check_jpeg(group.payload, group.width, group.height)
        return
    unpacked = Unpacked(group.payload, group.codec)
    try:
        count = 0
        for count, _ in enumerate(unpacked.packets(), 1):
            if count > MAX_PACKETS:
                raise MessageError(f"a group has more than {MAX_PACKETS} packets")
    finally:
        unpacked.container.close()
    if max(group.packets) >= count:
        raise MessageError(f"a frame's packet is missing: the value ends after {count}")


def _rotation(orientation: Orientation) -> tuple[int, bool]:
    """Degrees counter-clockwise, and whether the picture is mirrored after that."""
    turns = _TURNS.index((orientation.transpose, orientation.flip_y))
    return 90 * turns, orientation.flip_x != (turns in (2, 3))


def _orientation(rotation: int, mirrored: bool) -> Orientation:
    transpose, flip_y = _TURNS[rotation // 90]
    return Orientation(transpose, (rotation >= 180) != mirrored, flip_y)
