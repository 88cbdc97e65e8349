"""Decodes a group's packets from its beginning on, one picture at a time."""

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from av.codec.context import Flags, ThreadType
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from contanos.errors import MessageError
from contanos.video.container import Unpacked
from contanos.video.limits import Limits
from contanos.video.orientation import Orientation
from contanos.video.pictures import PictureReader, Planes

_Numbered = tuple[int, VideoFrame]


@dataclass(frozen=True, slots=True, eq=False)
class _Mark:
    """Goes through the decoder with a packet.

    Never a plain number: PyAV knows a mark by its identity, which equal numbers share, and forgets
    all of them when the first picture of one is gone.
    """

    packet: int


class ForwardDecoder:
    """Goes through a group once, in presentation order.

    Attributes:
        next: the first frame that it can still give, counted from the group's first.
    """

    def __init__(
        self,
        payload: bytes,
        codec: str,
        packets: Sequence[int],
        size: tuple[int, int],
        orientation: Orientation,
        full_range: bool,
    ) -> None:
        """Opens the group.

        Args:
            payload: the packets in NUT.
            codec: the canonical name of their codec.
            packets: for each frame, the number of its packet.
            size: width and height of a stored picture, in pixels.
            orientation: how it becomes the one to show.
            full_range: pictures use all levels.

        Raises:
            MessageError: the payload is not what it is said to be.
        """
        self.next = 0
        self._size = size
        self._orientation = orientation
        self._range = ColorRange.JPEG if full_range else ColorRange.MPEG
        unpacked = Unpacked(payload, codec)
        context = _prepared(unpacked.stream.codec_context, codec)
        weakref.finalize(self, _close, context, unpacked)
        places = {packet: place for place, packet in enumerate(packets)}
        self._pictures = _pictures(unpacked, context, places)
        self._ahead: _Numbered | None = None
        self._reader: PictureReader | None = None

    def read(self, index: int) -> Planes:
        """The planes of a frame at or after `next`; those before it are skipped.

        Raises:
            MessageError: the decoder gave no picture for it, or one of another size.
        """
        self.next = index + 1
        while self._ahead is None or self._ahead[0] < index:
            self._ahead = next(self._pictures, None)
            if self._ahead is None:
                raise MessageError("the group ended before this picture")
        if self._ahead[0] > index:
            raise MessageError("the decoder gave no picture for it")
        picture, self._ahead = self._ahead[1], None
        return self._read(picture)

    def _read(self, picture: VideoFrame) -> Planes:
        if (picture.width, picture.height) != self._size:
            raise MessageError(f"the picture is {picture.width} x {picture.height}")
        picture.color_range = self._range
        if self._reader is None:
            self._reader = PictureReader(picture, self._orientation)
        return self._reader.read(picture)


def _prepared(context: VideoCodecContext, codec: str) -> VideoCodecContext:
    context.thread_type = ThreadType.SLICE
    context.flags |= Flags.copy_opaque
    context.options = {"max_pixels": str(Limits().max_pixels)}
    if codec == "h264":
        # waits for as many pictures as may be reordered, so that none comes too late to be given
        context.options |= {"strict": "1"}
    return context


def _pictures(
    unpacked: Unpacked, context: VideoCodecContext, places: dict[int, int]
) -> Iterator[_Numbered]:
    """Pictures with their place; no method, so that no cycle keeps a decoder in memory."""
    for number, packet in enumerate(unpacked.packets()):
        packet.opaque = _Mark(number)
        yield from _decoded(context, packet, places)
    yield from _decoded(context, None, places)


def _decoded(
    context: VideoCodecContext, packet: Any, places: dict[int, int]
) -> Iterator[_Numbered]:
    try:
        pictures = context.decode(packet)
    except FFmpegError:
        return  # whoever waits for its picture is told that there is none
    for picture in pictures:
        mark = picture.opaque
        place = places.get(mark.packet) if isinstance(mark, _Mark) else None
        if place is not None:
            yield place, picture


def _close(context: VideoCodecContext, unpacked: Unpacked) -> None:
    """A decoder with pictures in it must not be destroyed: with threads it may wait for ever."""
    if context.is_open:
        context.flush_buffers()
    unpacked.container.close()
