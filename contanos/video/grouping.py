"""A source's frames as groups: its own packets where they can stand alone, else JPEGs."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

from contanos.errors import SettingError
from contanos.video.container import pack
from contanos.video.frame import BadFrame, Frame, Matrix
from contanos.video.group import FrameGroup, Place
from contanos.video.packets import Look, Origin, PacketGroup
from contanos.video.single import single
from contanos.video.source import VideoSource

FALLBACK_QUALITY = 90


class SourceGroups:
    """Iterates over a source, once.

    A group is proved to stand alone while its frames are counted, by its packets and by how the
    decoder treated them. Frames are let go meanwhile: where the proof fails in the middle, those
    before it are decoded again, from the group's own packets.

    Attributes:
        fallbacks: how many frames became single JPEGs, by the reason; those before `start`, which
            are not given, do not count.
        groups: how many groups kept their packets, likewise.
    """

    def __init__(
        self,
        source: VideoSource,
        start: int = 0,
        max_frames: int | None = None,
        source_id: str = "",
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """See `FrameCodec.groups`.

        Raises:
            SettingError: the source does not keep its packets.
        """
        if source.packets is None:
            raise SettingError("open the video with FrameCodec.open, so that its packets are kept")
        self.fallbacks: Counter[str] = Counter()
        self.groups = 0
        self._source = source
        self._log = source.packets
        self._start = start
        self._max_frames = max_frames
        self._source_id = source_id
        self._wanted = wanted
        self._current = PacketGroup(0, "there was none before")
        self._frames: list[tuple[int, Place]] = []
        self._packets: list[int] = []
        self._alike: tuple[Look, Matrix] | None = None
        self._codec = source.packets.stream.codec_context.codec.canonical_name

    def __iter__(self) -> Iterator[FrameGroup]:
        frames = islice(self._source, self._max_frames)
        for each in takewhile(lambda _: self._wanted(), frames):
            yield from self._take(each)
        yield from self._finished()

    def _take(self, each: Frame | BadFrame) -> Iterator[FrameGroup]:
        origin, group = self._log.take(each.frame_id)
        if group is not None and group.first > self._current.first:
            yield from self._finished()
            self._current = group
        reason = self._current.refused or self._objection(each, origin, group)
        if reason is None and isinstance(each, Frame) and origin.packet is not None:
            self._add(each, origin.packet)
            return
        reason = reason or "a frame of it is bad or damaged"
        yield from self._fall_back(reason)
        yield from self._single(each, reason)

    def _objection(
        self, each: Frame | BadFrame, origin: Origin, group: PacketGroup | None
    ) -> str | None:
        """Why the group cannot stand alone, now that this frame of it is known."""
        if isinstance(each, BadFrame) or each.damaged:
            return "a frame of it is bad or damaged"
        if group is not self._current or origin.look is None:
            return "the decoder does not tell which packet a picture came of"
        if origin.interlaced:
            return "interlaced pictures are filtered"
        if not self._frames and origin.packet != self._current.first:
            return "pictures are shown before its key picture"
        return self._odd(each, origin.packet, origin.look)

    def _odd(self, frame: Frame, packet: int | None, look: Look) -> str | None:
        if (reason := _not_carried(self._codec, look)) is not None:
            return reason
        turned = (look.height, look.width)
        shown = turned if self._source.orientation.transpose else (look.width, look.height)
        if shown != (self._source.width, self._source.height):
            return "its pictures are scaled to the size of the source's first"
        alike = (look, frame.matrix)
        if self._frames and alike != self._alike:
            return "its pictures change their format on the way"
        self._alike = alike
        return "two pictures came of one packet" if packet in self._packets else None

    def _add(self, frame: Frame, packet: int) -> None:
        self._frames.append((frame.frame_id, Place(frame.pts, frame.duration)))
        self._packets.append(packet)

    def _fall_back(self, reason: str) -> Iterator[FrameGroup]:
        """Gives the frames that were let go, and the group up."""
        if self._frames:
            group = self._group()
            for frame_id in range(max(group.frame_id, self._start), group.end):
                yield from self._single(group.frame(frame_id), reason)
        self._forget()
        self._current.refuse(reason)

    def _single(self, each: Frame | BadFrame, reason: str) -> Iterator[FrameGroup]:
        if each.frame_id >= self._start:
            self.fallbacks[reason] += 1
            size = (self._source.width, self._source.height)
            yield single(each, size, FALLBACK_QUALITY, self._source_id)

    def _finished(self) -> Iterator[FrameGroup]:
        if self._frames and self._frames[-1][0] >= self._start:
            self.groups += 1
            yield self._group()
        self._forget()
        self._log.done(self._current)

    def _forget(self) -> None:
        self._frames, self._packets = [], []

    def _group(self) -> FrameGroup:
        """The frames counted so far, with no more packets than they need."""
        numbers = [packet - self._current.first for packet in self._packets]
        packets = self._current.packets[: max(numbers) + 1]
        places = tuple(place for _, place in self._frames)
        pts: list[int | None] = [None] * len(packets)
        for number, place in zip(numbers, places, strict=True):
            pts[number] = place.pts
        assert self._alike is not None  # frames were counted
        look, matrix = self._alike
        return FrameGroup(
            frame_id=self._frames[0][0],
            places=places,
            time_base=self._source.time_base,
            width=self._source.width,
            height=self._source.height,
            matrix=matrix,
            codec=self._codec,
            payload=pack(self._log.stream, packets, pts, self._source.time_base),
            packets=tuple(numbers),
            orientation=self._source.orientation,
            full_range=look.full_range,
            source_id=self._source_id,
        )


def _not_carried(codec: str, look: Look) -> str | None:
    """YUV only, whose conversion needs no more than the range; and no H.264 in 4:4:4.

    There decoders work around errors of encoders that only the stream's first packet names.
    """
    plain = look.format.startswith(("yuv", "gray"))
    if not plain or (codec == "h264" and "444" in look.format):
        return f"its pixel format, {look.format}, is not carried"
    return None
