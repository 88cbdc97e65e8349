"""Tiny real videos for tests, each picture carrying its own number.

The number is drawn as four by four blocks, white for 1, least significant bit first, row by row:
coarse enough to survive any codec, scaling and drawing at the edges.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

GRID = 4
Bgr = npt.NDArray[np.uint8]


def numbered(number: int, size: tuple[int, int] = (64, 48)) -> Bgr:
    """A picture that shows `number` (0 to 65535): BGR, uint8 [height, width, 3]."""
    width, height = size
    bits = np.array([number >> bit & 1 for bit in range(GRID * GRID)]).reshape(GRID, GRID)
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    shades = np.where(bits, 235, 20)[np.ix_(rows, columns)]
    return np.repeat(shades[:, :, None], 3, axis=2).astype(np.uint8)


def read_number(luma: npt.NDArray[np.uint8]) -> int:
    """The number that a picture shows; `luma` is uint8 [height, width]."""
    height, width = luma.shape
    value = 0
    for bit in range(GRID * GRID):
        row, column = divmod(bit, GRID)
        top, left = (2 * row + 1) * height // (2 * GRID), (2 * column + 1) * width // (2 * GRID)
        value |= int(luma[top - 1 : top + 2, left - 1 : left + 2].mean() > 127) << bit
    return value


def make_video(
    path: Path,
    frames: int = 10,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    audio: str | None = None,
    options: dict[str, str] | None = None,
    format_options: dict[str, str] | None = None,
    picture: Callable[[int], Bgr] | None = None,
) -> Path:
    """Writes numbered pictures, 0 first; the container follows from the path's suffix.

    Args:
        path: where to write.
        frames: how many pictures.
        codec: an encoder's name.
        size: width and height, in pixels.
        pix_fmt: the pixel format's name.
        rate: frames per second.
        pts: timestamps in units of `time_base`, one a picture; by default 0, 1, 2, ...
        time_base: seconds per unit of `pts`; by default one over `rate`.
        rotation: degrees counter-clockwise by which a player is to turn the picture.
        aspect: width of a pixel over its height.
        audio: an encoder's name for a 440 Hz tone as long as the pictures; None for silence.
        options: of the video encoder.
        format_options: of the container.
        picture: the picture of a number, BGR uint8 [height, width, 3].
    """
    base = time_base or 1 / Fraction(rate)
    draw = picture or (lambda number: numbered(number, size))
    with av.open(str(path), "w", options=format_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = stream.time_base = base
        stream.codec_context.thread_count = 1
        stream.codec_context.options = dict(options or {})
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        sound: Any = container.add_stream(audio, rate=48_000) if audio else None
        for number in range(frames):
            frame = VideoFrame.from_ndarray(draw(number), "bgr24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number if pts is None else pts[number], base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            last = frames if pts is None else pts[-1] + 1
            _add_tone(container, sound, float(last * base))
    return path


def make_audio(path: Path, seconds: float = 0.5, codec: str = "aac") -> Path:
    """Writes a file that holds nothing but a 440 Hz tone."""
    with av.open(str(path), "w") as container:
        _add_tone(container, container.add_stream(codec, rate=48_000), seconds)
    return path


def remake_packets(
    source: Path, target: Path, change: Callable[[int, bytes], bytes | None]
) -> Path:
    """Copies the video of `source`, its packets changed on the way, in decoding order.

    Args:
        source: a video.
        target: where to write; the container follows from the suffix.
        change: gets a packet's number and bytes; gives the bytes to write, or None to leave the
            packet out.
    """
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        stream: Any = container.add_stream_from_template(given.streams.video[0], opaque=True)
        packets = (packet for packet in given.demux(video=0) if packet.size)
        for number, packet in enumerate(packets):
            data = change(number, bytes(packet))
            if data is not None:
                container.mux(_copy_of(packet, data, stream))
    return target


def corrupt(
    source: Path, target: Path, packets: Iterable[int], keep: int = 0, fill: int = 0xFF
) -> Path:
    """Overwrites some packets beyond their first `keep` bytes; the length stays."""
    bad = frozenset(packets)
    return remake_packets(
        source,
        target,
        lambda number, data: (
            data[:keep] + bytes([fill]) * (len(data) - keep) if number in bad else data
        ),
    )


def truncate(source: Path, target: Path, keep: float) -> Path:
    """The first part of a file, `keep` of its bytes (0 to 1)."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target


def patch_avi(
    source: Path, target: Path, *, size: tuple[int, int] | None = None, frames: int | None = None
) -> Path:
    """Changes what an AVI's header claims of its first stream."""
    data = bytearray(source.read_bytes())
    if size is not None:
        at = data.index(b"strf") + 12
        data[at : at + 8] = b"".join(n.to_bytes(4, "little") for n in size)
    if frames is not None:
        at = data.index(b"strh") + 8 + 32
        data[at : at + 4] = frames.to_bytes(4, "little")
    target.write_bytes(bytes(data))
    return target


def _copy_of(packet: "Packet[Any]", data: bytes, stream: Any) -> "Packet[Any]":
    copy: Packet[Any] = Packet(data)
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
    return copy


def _add_tone(container: OutputContainer, stream: Any, seconds: float) -> None:
    context = stream.codec_context
    rate = context.sample_rate
    phase = np.arange(round(seconds * rate)) * (2 * np.pi * 440 / rate)
    samples = (np.sin(phase) * 8000).astype(np.int16)
    for start in range(0, len(samples), 1024):
        part = np.ascontiguousarray(np.repeat(samples[None, start : start + 1024], 2, axis=1))
        frame = av.AudioFrame.from_ndarray(part, "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
