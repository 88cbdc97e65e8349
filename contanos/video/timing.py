"""When a picture is due, in streams with timestamps and in those that have none.

Some formats store decoding times at most, and a demuxer's guess at presentation times is then
wrong as soon as pictures are reordered. There the n-th picture shown is due at the n-th decoding
time.
"""

from collections import deque

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from contanos.video.pending import Sent

UNTIMED_FORMATS = frozenset({"avi", "h264", "hevc", "m4v", "mpegvideo", "vc1", "h263", "obu"})


class Timing:
    """Gives each picture, or the gap of a lost one, its time in units of the stream's pts."""

    def __init__(self, format_name: str) -> None:
        self._untimed = format_name in UNTIMED_FORMATS
        self._slots: deque[int | None] = deque()

    def send(self, packet: "Packet[VideoStream]") -> None:
        """Notes a packet on its way to the decoder, and takes away a pts that is but a guess."""
        if self._untimed:
            packet.pts = None
            self._slots.append(packet.dts)

    def due(self, shown: VideoFrame | Sent, depth: int) -> int | None:
        """When the next picture is due; None where nothing tells.

        Args:
            shown: the picture, or the packet that gave none.
            depth: how many packets the decoder may hold back to reorder them.
        """
        if not self._untimed:
            at = shown.pts
            return shown.dts if at is None and isinstance(shown, VideoFrame) else at
        slot = self._slots.popleft() if self._slots else None
        if not depth and isinstance(shown, VideoFrame):
            while slot is not None and shown.dts is not None and slot < shown.dts and self._slots:
                slot = self._slots.popleft()  # a packet that only repeats gave no picture
        return slot
