"""Consecutive frames as one record carries them: compressed, and decoded when asked for."""

from dataclasses import dataclass, field
from fractions import Fraction
from threading import Lock
from weakref import WeakValueDictionary

from contanos.errors import MessageError
from contanos.video.forward import ForwardDecoder
from contanos.video.frame import BadFrame, Frame, Matrix, Plane
from contanos.video.jpeg import decode_jpeg
from contanos.video.orientation import Orientation
from contanos.video.pictures import Planes

JPEG = "jpeg"
READERS = 3  # stages that read the same group at their own pace


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one frame besides its pixels.

    Attributes:
        pts: presentation time in units of the group's `time_base`.
        duration: how long it is shown, likewise; 0 where unknown.
        error: why there is no picture; None where there is one.
        damaged: the source's decoder concealed errors in the picture.
    """

    pts: int
    duration: int = 0
    error: str | None = None
    damaged: bool = False


class _Decoding:
    """What of a group is decoded at present."""

    __slots__ = ("decoders", "frames", "lock")

    def __init__(self) -> None:
        self.lock = Lock()
        self.frames: WeakValueDictionary[int, Frame] = WeakValueDictionary()
        self.decoders: list[ForwardDecoder] = []


@dataclass(frozen=True, slots=True, weakref_slot=True)
class FrameGroup:
    """One frame as a JPEG, or a group of pictures as the source's own packets.

    Frames are decoded one by one when asked for, never all at once. As long as somebody holds the
    group and a decoded frame, whoever asks for that frame gets the same object.

    Attributes:
        frame_id: of the first frame; the others follow without gaps.
        places: one for each frame, in order.
        time_base: seconds per unit of pts.
        width: after rotation, in pixels.
        height: likewise.
        matrix: how the planes relate to RGB.
        codec: "jpeg", or the canonical name of the source's codec.
        payload: the JPEG file, or packets in NUT; empty where there is no picture.
        packets: for each frame, the number of its packet in `payload`; empty for a JPEG.
        orientation: how a picture in `payload` becomes the one to show.
        full_range: the pictures in `payload` use all levels; a JPEG always does.
        source_id: what the frames are of.
    """

    frame_id: int
    places: tuple[Place, ...]
    time_base: Fraction
    width: int
    height: int
    matrix: Matrix
    codec: str
    payload: bytes = field(repr=False)
    packets: tuple[int, ...] = ()
    orientation: Orientation = field(default_factory=Orientation)
    full_range: bool = True
    source_id: str = ""
    _decoding: _Decoding = field(default_factory=_Decoding, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def end(self) -> int:
        """The id of the frame after the last."""
        return self.frame_id + len(self.places)

    def frame(self, frame_id: int) -> Frame | BadFrame:
        """One frame of the group; any thread may ask, in any order, best in theirs.

        A picture that cannot be decoded although its place says that it can is a `BadFrame`.

        Raises:
            KeyError: no frame of that id is in the group.
        """
        if not self.frame_id <= frame_id < self.end:
            raise KeyError(frame_id)
        place = self.places[frame_id - self.frame_id]
        if place.error is not None:
            return BadFrame(frame_id, place.pts, self.time_base, place.error)
        with self._decoding.lock:
            held = self._decoding.frames.get(frame_id)
            frame = held or self._decoded(frame_id, place)
            if isinstance(frame, Frame):
                self._decoding.frames[frame_id] = frame
        return frame

    def _decoded(self, frame_id: int, place: Place) -> Frame | BadFrame:
        try:
            if self.codec == JPEG:
                decoded = decode_jpeg(self.payload, self.width, self.height)
                return self._frame(frame_id, place, *decoded)
            planes = self._forward(frame_id - self.frame_id)
            return self._frame(frame_id, place, (planes.y, planes.u, planes.v), False)
        except MessageError as e:
            return BadFrame(frame_id, place.pts, self.time_base, str(e))

    def _frame(
        self, frame_id: int, place: Place, planes: tuple[Plane, Plane, Plane], damaged: bool
    ) -> Frame:
        y, u, v = planes
        return Frame(
            frame_id=frame_id,
            pts=place.pts,
            time_base=self.time_base,
            y=y,
            u=u,
            v=v,
            matrix=self.matrix,
            duration=place.duration,
            damaged=place.damaged or damaged,
        )

    def _forward(self, index: int) -> Planes:
        """By the decoder that has least to skip; readers that lie apart have one each."""
        decoders = self._decoding.decoders
        able = [each for each in decoders if each.next <= index]
        if not able:
            del decoders[: len(decoders) - READERS + 1]
            decoders.append(self._decoder())
        decoder = max(able, key=_next, default=decoders[-1])
        try:
            return decoder.read(index)
        finally:
            decoders.remove(decoder)
            if decoder.next < len(self.places):
                decoders.append(decoder)

    def _decoder(self) -> ForwardDecoder:
        size = (self.width, self.height)
        if self.orientation.transpose:
            size = (self.height, self.width)
        return ForwardDecoder(
            self.payload, self.codec, self.packets, size, self.orientation, self.full_range
        )


def _next(decoder: ForwardDecoder) -> int:
    return decoder.next
