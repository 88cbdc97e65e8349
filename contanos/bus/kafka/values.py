"""Values as bytes, and back.

A group of frames has headers, among them `codec`; any other record is a message in JSON.
"""

from typing import TypeAlias, cast

from confluent_kafka import Message

from contanos.bus.contract import Record
from contanos.errors import BusError, MessageError
from contanos.messages import EndOfStream, FrameResult, decode, encode
from contanos.video.group import FrameGroup
from contanos.video.record import Header, from_record, to_record
from contanos.video.shared import shared

Received: TypeAlias = "Message[bytes, bytes]"

_CREATE_TIME_UNIT = 1000  # a second


def to_bytes(value: object) -> tuple[bytes, list[Header]]:
    """A record's value and headers.

    Raises:
        BusError: a value that cannot leave this process.
    """
    if isinstance(value, FrameResult | EndOfStream):
        return encode(value), []
    if isinstance(value, FrameGroup):
        return to_record(value)
    raise BusError(
        f"{type(value).__name__} cannot travel over Kafka: send messages or groups of frames"
    )


def received(message: Received, topic: str, incarnation: str) -> Record:
    """What a consumer hands out for `message`.

    Bytes that are no message are somebody's fault, but not the reader's, nor that of the records
    behind them: the value is then the MessageError that says what is wrong.
    """
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None
    sent = message.timestamp()[1] / _CREATE_TIME_UNIT
    try:
        value = _value(message, (f"{message.topic()}/{incarnation}", partition, offset))
        return Record(topic, partition, offset, _key(message), value, sent)
    except MessageError as e:
        named = MessageError(f"{topic}, partition {partition}, offset {offset}: {e}")
        return Record(topic, partition, offset, -1, named, sent)


def _key(message: Received) -> int:
    try:
        return int(message.key() or b"")
    except ValueError as e:
        raise MessageError(f"key {message.key()!r} is not the number of a frame") from e


def _value(message: Received, place: tuple[str, int, int]) -> object:
    value = message.value() or b""
    listed = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    headers = [(name, _header(each)) for name, each in listed]
    if any(name == "codec" for name, _ in headers):
        return shared(place, lambda: from_record(value, headers))
    return decode(value)


def _header(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
