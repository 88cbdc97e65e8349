import math
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contanos.errors import MessageError
from contanos.messages import Detection, EndOfStream, FrameResult, Message, decode, encode
from contanos.schema import SCHEMAS, text

DOCS = Path(__file__).resolve().parents[2] / "docs"

numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1, max_size=8)
unknown = st.dictionaries(
    names.map("x_{}".format), st.none() | st.integers(-(2**53), 2**53) | names, max_size=3
)
detections = st.builds(
    Detection,
    bbox=st.tuples(*[numbers] * 4),
    score=numbers,
    keypoints=st.none() | st.lists(st.tuples(*[numbers] * 3), max_size=3).map(tuple),
    track_id=st.none() | st.integers(1, 2**31),
    track_bbox=st.none() | st.tuples(*[numbers] * 4),
    extra=unknown,
)
frames = st.builds(
    FrameResult,
    task_id=names,
    frame_id=st.integers(0, 2**40),
    pts=st.integers(-(2**40), 2**40),
    time_base=st.tuples(st.integers(1, 1000), st.integers(1, 2**31)),
    width=st.integers(1, 10_000),
    height=st.integers(1, 10_000),
    stage=names,
    error=st.none() | names,
    detections=st.lists(detections, max_size=3).map(tuple),
    extra=unknown,
)
ends = st.builds(
    EndOfStream,
    task_id=names,
    frames=st.integers(0, 2**40),
    reason=st.sampled_from(["completed", "cancelled", "failed"]),
    cause=st.none() | names,
)


@given(frames | ends)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    assert decode(encode(message)) == message


@given(frames)
def test_a_frame_fits_its_schema(frame: FrameResult) -> None:
    jsonschema.validate(msgspec.json.decode(encode(frame)), SCHEMAS["frame_result"]())


@given(ends)
def test_an_end_fits_its_schema(end: EndOfStream) -> None:
    jsonschema.validate(msgspec.json.decode(encode(end)), SCHEMAS["end_of_stream"]())


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_in_the_documents_are_those_of_the_code(name: str) -> None:
    kept = (DOCS / "schemas" / f"{name}.json").read_text()
    assert kept == text(name), "run: python -m contanos.schema docs/schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_described_in_the_documents(name: str) -> None:
    described = (DOCS / "messages.md").read_text()
    schema = SCHEMAS[name]()
    fields = set(schema["properties"])
    for definition in schema.get("$defs", {}).values():
        fields |= set(definition["properties"])
    assert not {field for field in fields if f"`{field}`" not in described}


def test_what_a_stage_does_not_know_it_passes_on() -> None:
    fields: dict[str, Any] = msgspec.json.decode(encode(FRAME))
    fields["weather"] = {"rain": True}
    fields["detections"][0]["shirt"] = "red"
    arrived = decode(msgspec.json.encode(fields))
    assert isinstance(arrived, FrameResult)
    sent = msgspec.json.decode(encode(msgspec.structs.replace(arrived, stage="next")))
    assert sent == fields | {"stage": "next"}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"{}",
        b'{"schema": 2}',
        b'{"schema": 1}',
        b'{"schema": 1, "end_of_stream": true, "task_id": "a", "frames": 1, "reason": "bored"}',
        b'{"schema": 1, "task_id": "a", "frame_id": 0, "pts": 0, "time_base": [1, 30], "width": 1,'
        b' "height": 1, "stage": "x", "detections": [{"bbox": [1, 2, 3], "score": 1}]}',
        b'{"schema": 1, "task_id": "a", "frame_id": 0, "pts": 0, "time_base": [1, 30], "width": 1,'
        b' "height": 1, "stage": "x", "detections": 5}',
    ],
)
def test_what_is_no_message_is_refused(value: bytes) -> None:
    with pytest.raises(MessageError):
        decode(value)


def test_seconds() -> None:
    assert math.isclose(FRAME.seconds, 42042 / 30000)


FRAME = FrameResult(
    task_id="7f3c",
    frame_id=42,
    pts=42042,
    time_base=(1, 30000),
    width=1280,
    height=720,
    stage="yolox",
    detections=(Detection(bbox=(1.0, 2.0, 3.0, 4.0), score=0.92),),
)
