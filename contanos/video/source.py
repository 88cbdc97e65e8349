"""A video file as frames in presentation order, each one counted."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from av.codec.context import Flags, ThreadType
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from contanos.errors import VideoError
from contanos.video.clock import DEFAULT_RATE, Clock
from contanos.video.deinterlace import Deinterlacer
from contanos.video.frame import BadFrame, Frame
from contanos.video.limits import Limits
from contanos.video.orientation import orientation_of
from contanos.video.packets import PacketLog
from contanos.video.pending import Pending, Sent
from contanos.video.pictures import PictureReader
from contanos.video.probe import OpenVideo, pick_video, refuse_count, refuse_size
from contanos.video.timing import Timing
from contanos.video.truncation import Extent


@dataclass(frozen=True, slots=True)
class _Place:
    """The number and time of one frame, decoded or not."""

    frame_id: int
    pts: int
    error: str | None = None


class VideoSource:
    """Iterates over the frames of a video file, once.

    A frame that cannot be decoded appears as a `BadFrame` in its place, so the numbers of the
    others never shift. Use it as a context manager.

    Attributes:
        width: of a frame after rotation, in pixels.
        height: likewise.
        time_base: seconds per unit of pts.
        rate: nominal frames per second; the timestamps tell the truth where it varies.
        frames_estimate: how many frames the header speaks of, None where it does not.
        matrix: how the planes relate to RGB, by the first picture.
        orientation: how a stored picture becomes the one to show.
        sample_aspect_ratio: width of a pixel over its height, after rotation.
        duration: in seconds by the header; None for an image.
        read: frames given so far, failed ones among them.
        failed: how many of them could not be decoded.
        damaged: how many were decoded with errors concealed.
        packets: the packets as they were read, in groups, where they are kept.
    """

    def __init__(
        self, path: str | Path, limits: Limits | None = None, *, keep_packets: bool = False
    ) -> None:
        """Opens the file and decodes as far as its first picture.

        Args:
            path: a video file.
            limits: what it may claim.
            keep_packets: whoever iterates takes each group from `packets` as its frames go by.

        Raises:
            VideoError: it is no video, no frame of it can be decoded, or it claims more than
                `limits` allow.
        """
        self.path = Path(path)
        self._limits = limits or Limits()
        with ExitStack() as undo:
            self._video = undo.enter_context(closing(OpenVideo(self.path)))
            self._stream = pick_video(self._video, self._limits)
            self._prepare(self._stream)
            undo.callback(_flush, self._context)
            self.packets = PacketLog(self._stream) if keep_packets else None
            self._packets = undo.enter_context(closing(self._demux(self._stream)))
            if self.packets is not None:
                self._packets = undo.enter_context(closing(self.packets.watch(self._packets)))
            self._frames = undo.enter_context(closing(self._all()))
            self._read_ahead()
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame | BadFrame]:
        while self._ahead:
            yield self._counted(self._ahead.popleft())
        for each in self._frames:
            yield self._counted(each)

    def close(self) -> None:
        """Stops decoding and closes the file; again does no harm."""
        self._undo.close()

    @property
    def truncated(self) -> str | None:
        """Why the file is known to have been cut; meaningful after the last frame."""
        return self._extent.verdict if self._ended else None

    @property
    def timestamps_fixed(self) -> int:
        """How many timestamps repeated or went back, and were moved."""
        return self._clock.fixed

    @property
    def timestamps_made_up(self) -> int:
        """How many frames had no timestamp and got one from the rate."""
        return self._clock.made_up

    def _prepare(self, stream: VideoStream) -> None:
        self.time_base = stream.time_base or 1 / DEFAULT_RATE
        self.rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
        self.read = self.failed = self.damaged = 0
        self._ended = False
        self._context = stream.codec_context
        # Slices share the work of one picture: an error then belongs to the packet just sent.
        self._context.thread_type = ThreadType.SLICE
        self._context.flags |= Flags.copy_opaque
        self._context.options = {"max_pixels": str(self._limits.max_pixels)}
        self._pending = Pending(self._context.name, 1 / (self.rate * self.time_base))
        self._timing = Timing(self._video.container.format.name)
        self._clock = Clock(self.rate, self.time_base)
        self._extent = Extent(self._video.container, stream)
        self._reader: PictureReader | None = None

    def _read_ahead(self) -> None:
        """As far as the first picture, whose size and turn hold for all."""
        self._ahead: deque[Frame | BadFrame] = deque()
        for each in self._frames:
            self._ahead.append(each)
            if isinstance(each, Frame):
                self._describe(each)
                return
        reason = next((e.error for e in self._ahead if isinstance(e, BadFrame)), "it holds none")
        raise VideoError(f"{self.path}: not one frame can be decoded ({reason}); convert it first")

    def _describe(self, first: Frame) -> None:
        stream, container = self._stream, self._video.container
        self.width, self.height, self.matrix = first.width, first.height, first.matrix
        aspect = stream.sample_aspect_ratio or Fraction(1)
        self.sample_aspect_ratio = 1 / aspect if self.orientation.transpose else aspect
        seconds = stream.duration * self.time_base if stream.duration else None
        if seconds is None and container.duration:
            seconds = Fraction(container.duration, 1_000_000)
        self.duration = None if _is_image(container.format.name) else seconds
        guess = round(seconds * self.rate) if seconds else None
        self.frames_estimate = stream.frames or (1 if self.duration is None else guess)

    def _counted(self, each: Frame | BadFrame) -> Frame | BadFrame:
        self.read += 1
        if isinstance(each, BadFrame):
            self.failed += 1
        else:
            self.damaged += each.damaged
        return each

    def _all(self) -> Generator[Frame | BadFrame, None, None]:
        deinterlacer: Deinterlacer[_Place] = Deinterlacer(self.time_base)
        for picture, place in self._placed():
            for ready in deinterlacer.push(picture, place):
                yield self._frame(*ready)
        for ready in deinterlacer.flush():
            yield self._frame(*ready)
        self._ended = True

    def _frame(self, picture: VideoFrame | None, place: _Place) -> Frame | BadFrame:
        if picture is None:
            error = place.error or "the decoder gave no picture for it"
            return BadFrame(place.frame_id, place.pts, self.time_base, error)
        planes = self._reader_for(picture).read(picture)
        return Frame(
            frame_id=place.frame_id,
            pts=place.pts,
            time_base=self.time_base,
            y=planes.y,
            u=planes.u,
            v=planes.v,
            matrix=planes.matrix,
            duration=picture.duration,
            damaged=picture.is_corrupt,
        )

    def _reader_for(self, picture: VideoFrame) -> PictureReader:
        refuse_size(self.path, picture.width, picture.height, self._limits)
        if self._reader is None:
            self.orientation = orientation_of(picture)
            self._reader = PictureReader(picture, self.orientation)
        return self._reader

    def _placed(self) -> Iterator[tuple[VideoFrame | None, _Place]]:
        """Pictures and gaps in presentation order, numbered, with timestamps that only grow."""
        for frame_id, each in enumerate(self._decoded()):
            refuse_count(self.path, frame_id + 1, self._limits)
            if self.packets is not None:
                self.packets.placed(frame_id, each)
            pts = self._clock.tick(self._timing.due(each, self._context.reorder_depth))
            if isinstance(each, Sent):
                yield None, _Place(frame_id, pts, each.error)
            else:
                yield each, _Place(frame_id, pts)

    def _decoded(self) -> Iterator[VideoFrame | Sent]:
        for packet in self._packets:
            yield from self._decode(packet)
        yield from self._decode(None)
        yield from self._pending.rest()

    def _decode(self, packet: "Packet[VideoStream] | None") -> Iterator[VideoFrame | Sent]:
        sent = None if packet is None else self._send(packet)
        try:
            pictures = self._context.decode(packet)
        except FFmpegError as e:
            if sent is not None:
                sent.error = f"the decoder refused it: {e.strerror}"
            return
        for picture in pictures:
            yield from self._pending.came(picture, self._context.reorder_depth)
            yield picture

    def _send(self, packet: "Packet[VideoStream]") -> Sent | None:
        self._timing.send(packet)
        sent = self._pending.send(packet)
        packet.opaque = sent
        return sent

    def _demux(self, stream: VideoStream) -> "Generator[Packet[VideoStream], None, None]":
        """The stream's packets; the other streams' are read too, to know how far the file goes."""
        try:
            for packet in self._video.container.demux():
                if not packet.size:
                    continue
                self._extent.note(packet)
                if packet.stream is stream:
                    self._refuse_encrypted(packet)
                    yield cast("Packet[VideoStream]", packet)
        except FFmpegError as e:
            self._extent.fail(e)

    def _refuse_encrypted(self, packet: "Packet[Stream]") -> None:
        if packet.has_sidedata("encryption_info"):
            raise VideoError(f"{self.path} is encrypted: give a copy without protection")


def _flush(context: VideoCodecContext) -> None:
    """A decoder with pictures in it must not be destroyed: with threads it may wait for ever."""
    if context.is_open:
        context.flush_buffers()


def _is_image(format_name: str) -> bool:
    return format_name.endswith("_pipe")
