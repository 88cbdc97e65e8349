"""At which packets of a stream a decoder may begin, proved from the packets' own bytes.

A container's key flag is not enough: it also marks recovery points and open groups of pictures. A
packet counts here only if its picture resets whatever a decoder remembers, and if every header that
came earlier in the stream lies in the stream's own header or comes again with that packet.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_OLD_X264 = re.compile(rb"x264 - core (?:[12]?\d|3[0-3])\b")  # decoders work around its errors
_ENCODERS = (b"Lavc", b"XviD", b"DivX", b"ffmpeg")  # by which MPEG-4 decoders choose their IDCT


@dataclass(frozen=True, slots=True)
class Content:
    """What one packet holds.

    Attributes:
        resets: its first picture uses nothing of earlier ones.
        headers: units that later packets may need.
    """

    resets: bool
    headers: frozenset[bytes] = frozenset()


class KeyPackets:
    """Looks at a stream's packets in their order.

    Attributes:
        unsupported: why no packet of this stream can be proved a beginning; None if some may.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        """`codec` is the canonical name of the codec, `extradata` the stream's header."""
        self._header = extradata or b""
        self._seen: set[bytes] = set()
        self._read = _reader(codec, self._header)
        self.unsupported = None if self._read else f"groups of {codec} are not known to stand alone"

    def begins(self, data: bytes) -> bool:
        """Whether a decoder that knows only the stream's header may begin at this packet."""
        if self._read is None:
            return False
        content = self._read(data)
        needed = self._seen - content.headers
        self._seen |= {each for each in content.headers if each not in self._header}
        return content.resets and not needed


def _reader(codec: str, header: bytes) -> Callable[[bytes], Content] | None:
    if codec == "h264":
        prefix = header[4] % 4 + 1 if len(header) > 6 and header[0] == 1 else 0
        return lambda data: _h264(_nal_units(data, prefix))
    if codec == "hevc":
        prefix = header[21] % 4 + 1 if len(header) > 22 and header[0] == 1 else 0
        return lambda data: _hevc(_nal_units(data, prefix))
    return _READERS.get(codec)


def _nal_units(data: bytes, prefix: int) -> Iterator[bytes]:
    """Without length or start code; `prefix` is the bytes of a length, 0 for start codes."""
    if not prefix:
        yield from (unit.rstrip(b"\0") for unit in _units(data))
        return
    at = 0
    while at + prefix < len(data):
        size = int.from_bytes(data[at : at + prefix])
        yield data[at + prefix : at + prefix + size]
        at += prefix + size


def _units(data: bytes) -> Iterator[bytes]:
    """What lies between start codes 00 00 01."""
    at = data.find(b"\0\0\1")
    while at >= 0:
        end = data.find(b"\0\0\1", at + 3)
        yield data[at + 3 :] if end < 0 else data[at + 3 : end]
        at = end


def _h264(units: Iterator[bytes]) -> Content:
    """ITU-T H.264, table 7-1: slices are 1 to 5, those of an IDR picture 5."""
    slices: set[int] = set()
    headers = set()
    for unit in units:
        kind = unit[0] & 31 if unit else 0
        if 1 <= kind <= 5:
            slices.add(kind)
        elif kind in (7, 8, 13, 15) or (kind == 6 and _OLD_X264.search(unit)):
            headers.add(unit)
    return Content(slices == {5}, frozenset(headers))


def _hevc(units: Iterator[bytes]) -> Content:
    """ITU-T H.265, table 7-1: slices are 0 to 31, those of an IDR picture 19 and 20."""
    slices: set[int] = set()
    headers = set()
    for unit in units:
        kind = unit[0] >> 1 & 63 if unit else 63
        if kind < 32:
            slices.add(kind)
        elif kind in (32, 33, 34):
            headers.add(unit)
    return Content(bool(slices) and slices <= {19, 20}, frozenset(headers))


def _vp8(data: bytes) -> Content:
    """RFC 6386, section 9.1: a key frame has a cleared first bit and a start code."""
    return Content(len(data) > 9 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a")


def _vp9(data: bytes) -> Content:
    """VP9 bitstream specification, section 6.2: show_existing_frame and frame_type are 0."""
    if len(data) < 5:
        return Content(False)
    profile = data[0] >> 5 & 1 | data[0] >> 3 & 2
    shift = 2 if profile < 3 else 1
    key = not data[0] >> (shift + 1) & 1 and not data[0] >> shift & 1
    start = int.from_bytes(data[:5]) >> (shift + 6) & 0xFFFFFF  # after show_frame, error_resilient
    return Content(data[0] >> 6 == 2 and key and start == 0x498342)


def _av1(data: bytes) -> Content:
    """AV1 bitstream specification, sections 5.3 to 5.9: a sequence header, then a shown key frame.

    A still picture with a reduced header is not recognised; it is then no group.
    """
    headers = set()
    for kind, payload in _obus(data):
        if kind == 1:
            headers.add(payload)
        elif kind in (3, 6):
            return Content(bool(payload) and payload[0] & 0xF0 == 0x10, frozenset(headers))
    return Content(False, frozenset(headers))


def _obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        first = data[at]
        at += 1 + (first >> 2 & 1)
        size = len(data) - at
        if first & 2:
            size, at = _leb128(data, at)
        yield first >> 3 & 15, data[at : at + size]
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, at + shift + 1
    return len(data), len(data)


def _mpeg4(data: bytes) -> Content:
    """ISO/IEC 14496-2, table 6-3: one I-VOP; layer headers and marks of encoders are kept."""
    pictures = []
    headers = set()
    for unit in _units(data):
        if unit[:1] == b"\xb6":
            pictures.append(unit[1] >> 6 if len(unit) > 1 else 3)
        elif unit and (0x20 <= unit[0] <= 0x2F or (unit[0] == 0xB2 and _names_encoder(unit))):
            headers.add(unit)
    return Content(pictures == [0], frozenset(headers))


def _names_encoder(unit: bytes) -> bool:
    return unit[1:].startswith(_ENCODERS)


def _mpeg2(data: bytes) -> Content:
    """ISO/IEC 13818-2, section 6.2: a sequence header resets the tables, then an I picture."""
    sequence = False
    for unit in _units(data):
        if unit[:1] == b"\xb3":
            sequence = True
        elif unit[:1] == b"\0":
            return Content(sequence and len(unit) > 2 and unit[2] >> 3 & 7 == 1)
    return Content(False)


def _mjpeg(data: bytes) -> Content:
    """Its own tables, of quantization and of Huffman codes, before the scan."""
    header = data[: max(0, data.find(b"\xff\xda"))]
    return Content(b"\xff\xdb" in header and b"\xff\xc4" in header)


def _msmpeg4(data: bytes) -> Content:
    """Two bits of picture type, 0 for an intra picture; its headers are in every such picture."""
    return Content(len(data) > 8 and not data[0] >> 6)


_READERS: dict[str, Callable[[bytes], Content]] = {
    "vp8": _vp8,
    "vp9": _vp9,
    "av1": _av1,
    "mpeg4": _mpeg4,
    "mpeg1video": _mpeg2,
    "mpeg2video": _mpeg2,
    "mjpeg": _mjpeg,
    "msmpeg4v3": _msmpeg4,
}
CODECS = frozenset({"h264", "hevc", *_READERS})
