"""A group's packets as one NUT file in memory, which any player opens by itself.

NUT keeps packets, codec header, decoding delay and any time base as they are; it costs some 300
bytes a group, and less than a millisecond to write or to read.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from contanos.errors import MessageError
from contanos.video.keypackets import CODECS

BUFFER_BYTES = 1 << 17
# nothing is decoded to find out more: NUT tells all, and a whole picture would cost too much
_READ = {"probesize": "32", "codec_whitelist": "none", "protocol_whitelist": "file"}


class _Stream:
    """Bytes that are only read forward: no index is looked for."""

    def __init__(self, data: bytes) -> None:
        self.read = BytesIO(data).read


def pack(
    template: VideoStream,
    packets: Sequence["Packet[Any]"],
    pts: Sequence[int | None],
    time_base: Fraction,
) -> bytes:
    """Writes packets, in decoding order.

    Args:
        template: the stream that they came from.
        packets: at least one; they stay as they are.
        pts: of each packet's picture, in units of `time_base`; None where it shows none.
        time_base: seconds per unit of `pts`.
    """
    file = BytesIO()
    with av.open(file, "w", "nut", {"fflags": "+bitexact"}) as container:
        stream = container.add_stream_from_template(template, opaque=True)
        stream.time_base = time_base
        for number, (packet, due) in enumerate(zip(packets, _since_start(pts), strict=True)):
            copy: Packet[Any] = Packet(bytes(packet))
            copy.pts, copy.dts, copy.time_base = due, number, time_base
            copy.is_keyframe, copy.stream = number == 0, stream
            container.mux(copy)
    return file.getvalue()


def _since_start(pts: Sequence[int | None]) -> list[int]:
    """Times from the group's start on, none before its place in decoding order.

    A packet that shows nothing has the time of the one before it.
    """
    first = min((at for at in pts if at is not None), default=0)
    times: list[int] = []
    for at in pts:
        times.append(at - first if at is not None else times[-1] if times else 0)
    late = max(0, *(number - at for number, at in enumerate(times)))
    return [at + late for at in times]


class Unpacked:
    """An open group: its stream, and its packets in order.

    Raises:
        MessageError: it is not NUT, or not one video stream of `codec`.
    """

    def __init__(self, payload: bytes, codec: str) -> None:
        try:
            opened = av.open(
                _Stream(payload), "r", "nut", container_options=_READ, buffer_size=BUFFER_BYTES
            )
        except (FFmpegError, ValueError, UnicodeError) as e:
            raise MessageError(f"the value is not a group in NUT: {e}") from e
        self.container = opened
        try:
            self.stream = _only_stream(self.container, codec)
        except MessageError:
            self.container.close()
            raise

    def packets(self) -> "Iterator[Packet[VideoStream]]":
        """In decoding order.

        Raises:
            MessageError: the file ends in the middle of one.
        """
        try:
            for packet in self.container.demux(self.stream):
                if packet.is_corrupt:
                    raise MessageError("the group's last packet is cut short")
                if packet.size:
                    yield packet
        except FFmpegError as e:
            raise MessageError(f"the group cannot be read to its end: {e}") from e


def _only_stream(container: InputContainer, codec: str) -> VideoStream:
    streams = list(container.streams)
    if len(streams) != 1 or not isinstance(streams[0], VideoStream):
        raise MessageError(f"{len(streams)} streams where one of video belongs")
    found = streams[0].codec_context
    if found is None or found.codec.canonical_name != codec or codec not in CODECS:
        raise MessageError(f"the value does not hold the {codec} that its header names")
    return streams[0]
