"""A small picture of what a task shows."""

from contextlib import closing, suppress
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg  # type: ignore[import-untyped]
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from contanos.disk import replacing
from contanos.errors import InputError, VideoError
from contanos.video.frame import Frame, Picture, Plane
from contanos.video.limits import Limits
from contanos.video.orientation import orientation_of
from contanos.video.pictures import PictureReader
from contanos.video.probe import OpenVideo, pick_video
from video_analysis.results.layout import Layout
from video_analysis.results.writer import RESULTS

WIDTH, HIGHEST = 320, 960
"""Pixels: a picture that would be higher than that is made narrower."""

_QUALITY = 80
_PART = 3  # the first third: it tells what the video is about, and gives no end away
_NUMBERS = ["frame_id", "track_id"]


def make_thumbnail(video: Path, target: Path) -> None:
    """Writes a JPEG of a picture in the first third of a video: one with as many people as any.

    Args:
        video: the annotated one, so that what is hidden there stays hidden. Where `results.parquet`
            lies beside it, that tells where people are; without it the middle of the third is
            taken.
        target: the JPEG, 320 pixels wide, and as high as the picture is shown.

    Raises:
        VideoError: the video cannot be opened, or not one picture of it decoded.
        OutputError: the disk is full, or the folder may not be written to.
    """
    picture = _picture(video, _moment(video.with_name(RESULTS)))
    data = simplejpeg.encode_jpeg(picture, _QUALITY, "BGR", "420")
    with replacing(target) as file:
        file.write(data)


def _moment(results: Path) -> float | None:
    """Seconds from the first picture to one with as many people as any; None if none is known."""
    try:
        with pq.ParquetFile(results) as file:
            return _fullest(file, Layout(file.metadata))
    except (InputError, OSError, pa.ArrowInvalid):
        return None


def _fullest(file: pq.ParquetFile, layout: Layout) -> float | None:
    first = layout.frames.first
    if not len(layout):
        return None
    people = np.zeros(-(-len(layout.frames.pts) // _PART), np.int64)
    for group in layout.groups_of(first, first + len(people)):
        rows = file.read_row_group(group, _NUMBERS, use_threads=False)
        frames = rows.filter(rows["track_id"].is_valid())["frame_id"].to_numpy() - first
        people += np.bincount(frames[frames < len(people)], minlength=len(people))
    fullest = int(people.argmax())
    if not people[fullest]:
        return None
    return layout.seconds(first + fullest) - layout.seconds(first)


def _picture(path: Path, moment: float | None) -> Picture:
    """As it is to be shown: turned, its pixels square, scaled."""
    with closing(OpenVideo(path)) as video:
        stream = pick_video(video, Limits())
        try:
            decoded = _decoded(video, stream, moment)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            return _scaled(decoded, aspect)
        finally:
            with suppress(FFmpegError):
                stream.codec_context.flush_buffers()  # a decoder that is full may never close


def _decoded(video: OpenVideo, stream: VideoStream, moment: float | None) -> VideoFrame:
    """The picture at that moment, or if there is none, the one nearest before it."""
    base, start = stream.time_base or Fraction(1, 1), stream.start_time or 0
    after = (stream.duration or 0) // (2 * _PART) if moment is None else round(moment / base)
    for at in (start + after, start):
        found = None
        with suppress(FFmpegError):
            video.container.seek(at, stream=stream)
            for found in video.container.decode(stream):
                if found.pts is None or found.pts >= at:
                    break
        if found is not None:
            return found
    raise VideoError(f"{video.path}: not one picture of it can be decoded")


def _scaled(decoded: VideoFrame, aspect: Fraction) -> Picture:
    turn = orientation_of(decoded)
    planes = PictureReader(decoded, turn).read(decoded)
    height, width = planes.y.shape
    shown = width * float(1 / aspect if turn.transpose else aspect)
    scale = min(WIDTH / shown, HIGHEST / height)
    size = (max(1, round(shown * scale)), max(1, round(height * scale)))
    chroma = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    y, u, v = (
        _resized(plane, to)
        for plane, to in zip((planes.y, planes.u, planes.v), (size, chroma, chroma), strict=True)
    )
    return Frame(0, 0, Fraction(1), y, u, v, planes.matrix).bgr()


def _resized(plane: Plane, size: tuple[int, int]) -> Plane:
    """Smaller by averages, which leave no moiré; larger by interpolation."""
    smaller = size[0] < plane.shape[1] or size[1] < plane.shape[0]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, size, interpolation=way), np.uint8)
