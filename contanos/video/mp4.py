"""Segments joined into one MP4, with the source's sound: packets copied, nothing encoded again."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from contanos.disk import as_output_error, whole_file
from contanos.errors import OutputError
from contanos.video.audio import AudioTrack, Handling
from contanos.video.probe import OpenVideo

MAX_TIMESCALE = 2**31 - 1
FALLBACK_TIMESCALE = 90_000
LONE_FRAME_SECONDS = Fraction(1)
PROBE_BYTES = "32"  # the least there is: the segments' header tells all


@dataclass(frozen=True, slots=True)
class Joined:
    """What an MP4 holds.

    Attributes:
        frames: pictures in it.
        seconds: from the first picture to the end of the last.
        audio: what became of the source's sound.
    """

    frames: int
    seconds: float
    audio: Handling


@dataclass(frozen=True, slots=True)
class _Span:
    """When the pictures begin and end, in the units of their time base, on the source's clock."""

    first: int
    end: int
    time_base: Fraction


def join_segments(
    segments: Sequence[Path],
    out: Path,
    audio_from: Path | None = None,
    until: Fraction | float | None = None,
) -> Joined:
    """Writes `out`, ready to play while it loads (the index comes first).

    The first picture is at 0 and every distance between pictures is exact: the track's timescale
    is the denominator of the segments' time base (beyond 2**31 - 1, which MP4 cannot hold, it is
    90000, and a pts is then off by at most 1/180000 s). The sound is moved by the same amount.

    Args:
        segments: in order, as `SegmentWriter` made them.
        out: appears when it is whole, replacing what was there.
        audio_from: the source, whose sound is copied or transcoded to AAC.
        until: when the last picture ends, in seconds on the source's clock; by default it lasts
            as long as the one before it, and a lone picture one second.

    Raises:
        OutputError: there is nothing to join, the disk is full, or the folder may not be written.
        VideoError: `audio_from` cannot be opened.
    """
    if not segments:
        raise OutputError(f"{out} was not written: there is not one encoded frame")
    span = _span(segments, until)
    source = OpenVideo(audio_from) if audio_from is not None else None
    try:
        with whole_file(out) as part, as_output_error(out):
            frames, handling = _write(part, segments, span, source)
            _check(part, frames)
    finally:
        if source is not None:
            source.close()
    seconds = float((span.end - span.first) * span.time_base)
    return Joined(frames, seconds, handling)


def _write(
    part: Path, segments: Sequence[Path], span: _Span, source: OpenVideo | None
) -> tuple[int, Handling]:
    options = {"movflags": "+faststart", "video_track_timescale": _timescale(span.time_base)}
    with av.open(str(part), "w", "mp4", options) as container:
        video = _video_stream(container, segments[0])
        audio = None if source is None else AudioTrack(source.container, container)
        start, end = span.first * span.time_base, span.end * span.time_base
        sound = iter(()) if audio is None else audio.packets(start, end)
        frames = 0
        for packet in heapq.merge(_pictures(segments, span, video), sound, key=_seconds):
            container.mux(packet)
            frames += packet.stream is video
    return frames, "none" if audio is None else audio.handling


def _video_stream(container: OutputContainer, segment: Path) -> VideoStream:
    with _open_segment(segment) as first:
        return container.add_stream_from_template(first.streams.video[0])


def _pictures(
    segments: Sequence[Path], span: _Span, stream: VideoStream
) -> "Iterator[Packet[Any]]":
    """The segments' packets, the first at 0, each lasting until the next."""
    for packet, following in pairwise(chain(_packets(segments), [None])):
        assert packet is not None
        end = span.end if following is None else _pts(following)
        packet.duration = end - _pts(packet)
        packet.pts = packet.dts = _pts(packet) - span.first
        packet.stream = stream
        yield packet


def _packets(segments: Sequence[Path]) -> "Iterator[Packet[Any]]":
    for path in segments:
        with _open_segment(path) as segment:
            yield from (packet for packet in segment.demux(video=0) if packet.size)


def _open_segment(path: Path) -> InputContainer:
    return av.open(str(path), "r", container_options={"probesize": PROBE_BYTES})


def _span(segments: Sequence[Path], until: Fraction | float | None) -> _Span:
    first = next(_packets(segments))
    last = [_pts(packet) for packet in _packets(segments[-2:])][-2:]
    lasts = last[1] - last[0] if len(last) > 1 else round(LONE_FRAME_SECONDS / first.time_base)
    end = last[-1] + lasts if until is None else round(Fraction(until) / first.time_base)
    return _Span(_pts(first), max(end, last[-1] + 1), first.time_base)


def _pts(packet: "Packet[Any]") -> int:
    assert packet.pts is not None  # every picture of ours has one
    return packet.pts


def _timescale(time_base: Fraction) -> str:
    exact = time_base.denominator
    return str(exact if exact <= MAX_TIMESCALE else FALLBACK_TIMESCALE)


def _seconds(packet: "Packet[Any]") -> Fraction:
    return _pts(packet) * packet.time_base


def _check(part: Path, frames: int) -> None:
    with av.open(str(part)) as written:
        found = written.streams.video[0].frames
    if found != frames:
        raise OutputError(f"{part} holds {found} of {frames} frames: the disk may be full")
