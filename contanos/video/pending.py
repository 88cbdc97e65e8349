"""Which packets have not yielded their picture: how a lost frame is found without false alarms.

Every packet that should yield a picture is remembered when it goes to the decoder, and the decoder
hands its mark back with the picture. Pictures leave the decoder in presentation order, so a packet
whose time lies before that of a picture that came out, and whose own picture did not, has failed.
"""

import heapq
from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# A vector-coded frame says "as before" in so few bytes; its decoder then gives no new picture.
REPEATS_BYTES = 8
MAX_REORDER = 16  # frames: H.264, A.3.1, and H.265, A.4.2
REPEATS_CODECS = frozenset(
    {"mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "h263", "h263p", "flv", "wmv1", "wmv2", "wmv3"}
    | {"vc1", "vp6", "vp6f"}
)


@dataclass(slots=True, eq=False)
class Sent:
    """One packet that went to the decoder and should yield a picture.

    `epoch` grows whenever the stream's time starts again; `error` is what the decoder said.
    """

    index: int
    pts: int | None
    epoch: int
    error: str | None = None
    came: bool = False


class Pending:
    """The packets whose picture has not come out."""

    def __init__(self, codec: str, period: Fraction) -> None:
        """`period` is the nominal time between frames, in units of the stream's pts."""
        self._codec = codec
        self._field = period * 3 / 4
        self._sent = 0
        self._epoch = 0
        self._last_dts: int | None = None
        self._timed: list[tuple[tuple[int, int], int, Sent]] = []
        self._untimed: list[Sent] = []
        self._last: tuple[Sent, bool] | None = None

    def send(self, packet: "Packet[VideoStream]") -> Sent | None:
        """Notes a packet on its way to the decoder; None if no picture will come of it."""
        self._sent += 1
        self._note_restart(packet.dts)
        if packet.is_discard or _is_hidden(self._codec, packet):
            return None
        sent = Sent(self._sent, packet.pts, self._epoch)
        if sent.pts is not None:
            heapq.heappush(self._timed, ((sent.epoch, sent.pts), sent.index, sent))
        else:
            self._untimed.append(sent)
        return sent

    def came(self, picture: VideoFrame, depth: int) -> list[Sent]:
        """The packets now known to have failed, all due before `picture`.

        Args:
            picture: as it left the decoder.
            depth: how many packets the decoder may hold back to reorder them.
        """
        sent = picture.opaque if isinstance(picture.opaque, Sent) else self._by_pts(picture.pts)
        lost: list[Sent] = []
        if sent is not None:
            sent.came = True
            lost += self._overdue(sent.index, 0 if picture.key_frame else depth)
        if picture.pts is not None:
            lost += self._due((self._epoch if sent is None else sent.epoch, picture.pts))
        if sent is not None:
            self._last = (sent, picture.interlaced_frame)
        return lost

    def rest(self) -> list[Sent]:
        """The packets whose picture never came, once the decoder is drained."""
        left = [s for *_, s in sorted(self._timed)] + self._untimed
        self._timed, self._untimed = [], []
        return [s for s in left if not s.came and not self._is_second_field(s)]

    def _note_restart(self, dts: int | None) -> None:
        if dts is not None:
            self._epoch += self._last_dts is not None and dts < self._last_dts
            self._last_dts = dts

    def _due(self, before: tuple[int, int]) -> list[Sent]:
        """The packets with a time below `before` that gave nothing."""
        due = []
        while self._timed and (self._timed[0][0] < before or self._timed[0][2].came):
            due.append(heapq.heappop(self._timed)[2])
        return [s for s in due if not s.came and not self._is_second_field(s)]

    def _overdue(self, index: int, depth: int) -> list[Sent]:
        """The packets without pts that gave nothing, once packet `index` gave its picture.

        At most `depth` earlier packets may still wait for their turn (none before a key frame),
        and none for longer than a decoder reorders; what the decoder refused waits for nothing.
        So the place of a lost frame in presentation order is known to within a few frames.
        """
        self._untimed = [s for s in self._untimed if not s.came]
        earlier = [s for s in self._untimed if s.index < index]
        lost = [s for s in earlier if s.error or index - s.index > MAX_REORDER]
        waiting = [s for s in earlier if s not in lost]
        lost += waiting[: max(0, len(waiting) - depth)]
        self._untimed = [s for s in self._untimed if s not in lost]
        return [s for s in lost if not self._is_second_field(s)]

    def _by_pts(self, pts: int | None) -> Sent | None:
        return next((s for at, _, s in self._timed if at[1] == pts and not s.came), None)

    def _is_second_field(self, sent: Sent) -> bool:
        """Whether the last picture came of two packets, one field each, and this is the second."""
        if self._last is None:
            return False
        first, interlaced = self._last
        if not interlaced or sent.index != first.index + 1:
            return False
        return sent.pts is None or first.pts is None or sent.pts - first.pts < self._field


def _is_hidden(codec: str, packet: "Packet[VideoStream]") -> bool:
    """Whether a sound packet of this kind yields no picture of its own."""
    if codec in REPEATS_CODECS:
        return packet.size <= REPEATS_BYTES
    if codec in ("vp8", "libvpx"):
        return not memoryview(packet)[0] >> 4 & 1  # show_frame, RFC 6386, section 9.1
    if codec in ("vp9", "libvpx-vp9"):
        return _is_hidden_vp9(memoryview(packet))
    return False


def _is_hidden_vp9(data: memoryview) -> bool:
    """VP9 bitstream specification, section 6.2 (uncompressed header) and annex B (superframe)."""
    if data[-1] & 0xE0 == 0xC0:
        return False
    profile = data[0] >> 5 & 1 | data[0] >> 3 & 2
    bits = data[0] << 8 | (data[1] if len(data) > 1 else 0)
    shift = 11 if profile < 3 else 10  # show_existing_frame follows marker and profile
    return not bits >> shift & 1 and not bits >> (shift - 2) & 1
