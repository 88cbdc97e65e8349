"""The sound of a source, as packets for an MP4: copied where MP4 players take the codec."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal, cast

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

COPIED = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac"})
AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 96000})
AAC_RATE = 48000
MAX_CHANNELS = 2

Handling = Literal["none", "copied", "transcoded"]


class AudioTrack:
    """One audio stream on its way from a source into an MP4."""

    def __init__(self, source: InputContainer, target: OutputContainer) -> None:
        """Adds a stream to `target` if the source has sound that can be used."""
        self._source = source
        self._stream = _pick(source)
        self.handling: Handling = "none"
        if self._stream is None:
            return
        if self._stream.codec_context.name in COPIED:
            self._out = target.add_stream_from_template(self._stream, opaque=True)
            self.handling = "copied"
        else:
            rate = self._stream.codec_context.sample_rate
            self._out = target.add_stream("aac", rate=rate if rate in AAC_RATES else AAC_RATE)
            self._out.codec_context.layout = _layout(self._stream)
            self.handling = "transcoded"

    def packets(self, start: Fraction, end: Fraction) -> "Iterator[Packet[Any]]":
        """What sounds from `start` to `end`, in seconds on the source's clock, moved to begin at 0.

        A copied packet is kept whole or dropped; one packet lasts 20 to 30 ms. A packet that no
        one can decode is left out.
        """
        if self._stream is None:
            return
        made = self._copied(start, end) if self.handling == "copied" else self._encoded(start, end)
        for packet in made:
            packet.stream = self._out
            yield packet

    def _copied(self, start: Fraction, end: Fraction) -> "Iterator[Packet[Any]]":
        for packet in self._demuxed():
            base = packet.time_base
            shift, stop = round(start / base), round(end / base)
            if packet.pts is None or packet.pts < shift:
                continue
            if packet.pts >= stop:
                return
            packet.duration = min(packet.duration or 0, stop - packet.pts)
            packet.pts -= shift
            packet.dts = packet.pts
            yield packet

    def _encoded(self, start: Fraction, end: Fraction) -> "Iterator[Packet[Any]]":
        context = self._out.codec_context
        resampler = AudioResampler("fltp", context.layout, context.sample_rate)
        for frame in self._decoded(start, end):
            for piece in resampler.resample(frame):
                yield from self._out.encode(piece)
        for piece in resampler.resample(None):
            yield from self._out.encode(piece)
        yield from self._out.encode(None)

    def _decoded(self, start: Fraction, end: Fraction) -> Iterator[AudioFrame]:
        for packet in self._demuxed():
            try:
                frames = cast("list[AudioFrame]", packet.decode())
            except FFmpegError:
                continue
            for frame in frames:
                if frame.pts is None or frame.time_base is None:
                    continue
                at = frame.pts * frame.time_base
                if at >= end:
                    return
                if at >= start:
                    frame.pts -= round(start / frame.time_base)
                    yield frame

    def _demuxed(self) -> "Iterator[Packet[Any]]":
        try:
            for packet in self._source.demux(self._stream):
                if packet.size:
                    packet.pts = packet.dts if packet.pts is None else packet.pts
                    yield packet
        except FFmpegError:
            return  # the file was cut; what was read of its sound stays


def _pick(source: InputContainer) -> AudioStream | None:
    usable = [s for s in source.streams.audio if s.codec_context is not None]
    best = source.streams.best("audio")
    return best if best in usable else next(iter(usable), None)


def _layout(stream: AudioStream) -> str:
    return "mono" if stream.codec_context.channels == 1 else "stereo"
