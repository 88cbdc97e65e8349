"""Whether a file holds less than its header promises."""

from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

# Formats whose header counts the frames, and formats whose header gives the whole duration.
COUNTED = ("mov", "avi")
TIMED = ("matroska", "flv")
AVI_SLACK = 2
TIME_SLACK = Fraction(1, 2)


class Extent:
    """What was read of a file, against what its header promised."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._format = container.format.name.split(",")[0]
        self._promised_frames = stream.frames
        self._promised = Fraction(container.duration or 0, av.time_base)
        self._start = Fraction(container.start_time or 0, av.time_base)
        self._index = stream.index
        self._frames = 0
        self._end = Fraction(0)
        self._cut_packet = False
        self._error: str | None = None

    def note(self, packet: "Packet[Stream]") -> None:
        """Counts a packet of any stream."""
        if packet.stream_index == self._index:
            self._frames += 1
            if self._format == "avi" and packet.dts is not None:
                self._frames = max(self._frames, packet.dts + 1)
        self._cut_packet = packet.is_corrupt and self._format != "mpegts"
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None and packet.time_base:
            self._end = max(self._end, (at + (packet.duration or 0)) * packet.time_base)

    def fail(self, error: Exception) -> None:
        """Notes that reading stopped for an error."""
        self._error = str(error)

    @property
    def verdict(self) -> str | None:
        """Why the file is known to have been cut, or None where nothing says so."""
        if self._error is not None:
            return f"reading stopped early: {self._error}"
        if self._format in COUNTED and self._frames < self._promised_frames - self._slack:
            return f"the header promises {self._promised_frames} frames, {self._frames} are there"
        missing = self._promised - (self._end - self._start)
        if self._format in TIMED and missing > TIME_SLACK and self._frames > 1:
            return (
                f"the header promises {float(self._promised):.2f} s, "
                f"the last {float(missing):.2f} s are missing"
            )
        return "the last packet is incomplete" if self._cut_packet else None

    @property
    def _slack(self) -> int:
        return AVI_SLACK if self._format == "avi" else 0
