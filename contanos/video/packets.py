"""A source's packets beside its frames: what a group of pictures needs to be decoded again."""

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from contanos.video.keypackets import KeyPackets
from contanos.video.pending import Sent

MAX_PACKETS = 512
MAX_BYTES = 7 << 20  # a record is at most 8 MiB, its headers among them

VideoPacket: TypeAlias = "Packet[VideoStream]"


@dataclass(slots=True, eq=False)
class PacketGroup:
    """Packets from one beginning to the next, in decoding order.

    Attributes:
        first: the index of its first packet in the stream; the stream's first is 1.
        count: how many there are.
        packets: they themselves; none once the group was refused or done with.
        refused: why it cannot be decoded by itself; None if it can.
    """

    first: int
    refused: str | None = None
    count: int = 0
    size: int = 0
    packets: list[VideoPacket] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Lets the packets go; the first reason stays."""
        self.refused = self.refused or reason
        self.packets.clear()

    def __contains__(self, index: int) -> bool:
        return self.first <= index < self.first + self.count


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture came out of the decoder, before anything was made of it."""

    width: int
    height: int
    format: str
    full_range: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a frame came from.

    Attributes:
        packet: the index of its packet in the stream, None where the decoder does not tell.
        look: of its picture; None where there was none.
        interlaced: it, or a picture before it, was interlaced, and so it may have been filtered.
    """

    packet: int | None
    look: Look | None
    interlaced: bool


class PacketLog:
    """Keeps packets in groups until their frames have come out.

    A group is read whole before its first packet goes to the decoder. So its size is known before
    its first frame, and at most two groups of `MAX_BYTES` are kept.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self.stream = stream
        self._keys = KeyPackets(context.codec.canonical_name, context.extradata)
        self._groups: deque[PacketGroup] = deque()
        self._count = 0
        self._origins: dict[int, Origin] = {}
        self._interlaced = False

    @property
    def kept(self) -> int:
        """How many packets are held at present."""
        return sum(len(group.packets) for group in self._groups)

    def watch(self, packets: Iterator[VideoPacket]) -> Generator[VideoPacket, None, None]:
        """The same packets, each group noted before its first one."""
        group = self._begin("it does not begin with a key picture")
        held: deque[VideoPacket] = deque()
        for packet in packets:
            if self._keys.begins(bytes(packet)):
                yield from _emptied(held)
                group = self._begin(None)
            self._note(group, packet)
            held.append(packet)
            if group.refused is not None:
                yield from _emptied(held)
        yield from _emptied(held)

    def placed(self, frame_id: int, shown: VideoFrame | Sent) -> None:
        """Notes where frame `frame_id` came from, before it is given."""
        look: Look | None = None
        sent: object = shown
        if isinstance(shown, VideoFrame):
            self._interlaced |= shown.interlaced_frame
            look, sent = _look(shown), shown.opaque
        packet = sent.index if isinstance(sent, Sent) else None
        self._origins[frame_id] = Origin(packet, look, self._interlaced)

    def take(self, frame_id: int) -> tuple[Origin, PacketGroup | None]:
        """Where a frame came from, once, and the group that its packet belongs to, if known."""
        origin = self._origins.pop(frame_id)
        if origin.packet is None:
            return origin, None
        return origin, next((g for g in self._groups if origin.packet in g), None)

    def done(self, group: PacketGroup) -> None:
        """Forgets the group and those before it."""
        while self._groups and self._groups[0].first <= group.first:
            self._groups.popleft().packets.clear()

    def _begin(self, refused: str | None) -> PacketGroup:
        group = PacketGroup(self._count + 1, self._keys.unsupported or refused)
        self._groups.append(group)
        return group

    def _note(self, group: PacketGroup, packet: VideoPacket) -> None:
        self._count += 1
        group.count += 1
        group.size += packet.size
        if group.refused is None:
            group.packets.append(packet)
            if (reason := _objection(group, packet)) is not None:
                group.refuse(reason)


def _objection(group: PacketGroup, packet: "Packet[Any]") -> str | None:
    if group.count > MAX_PACKETS:
        return f"it has more than {MAX_PACKETS} packets"
    if group.size > MAX_BYTES:
        return f"it is larger than {MAX_BYTES >> 20} MiB"
    if packet.is_discard:
        return "the file hides part of it"
    if packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change"):
        return "its decoder is set up anew on the way"
    return None


def _emptied(held: deque[VideoPacket]) -> Iterator[VideoPacket]:
    while held:
        yield held.popleft()


def _look(picture: VideoFrame) -> Look:
    full = picture.color_range == ColorRange.JPEG
    name = picture.format.name
    return Look(picture.width, picture.height, name, full)
