"""From what a decoder gives to the planes of a `Frame`: no copy where it is yuv420p already."""

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from contanos.video.frame import Matrix, Plane
from contanos.video.orientation import Orientation

# colour matrices of ITU-T H.273, table 4, as the stream names them
MATRICES = {1: Matrix.BT709, 4: Matrix.BT601, 5: Matrix.BT601, 6: Matrix.BT601} | {
    9: Matrix.BT2020,
    10: Matrix.BT2020,
}
HD_LINES = 720


@dataclass(frozen=True, slots=True)
class Planes:
    """The planes of one picture and how they relate to RGB."""

    y: Plane
    u: Plane
    v: Plane
    matrix: Matrix


class PictureReader:
    """Reads the planes of one stream's pictures, all at the size and turn of the first."""

    def __init__(self, first: VideoFrame, orientation: Orientation) -> None:
        self._size = (first.width, first.height)
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    def read(self, picture: VideoFrame) -> Planes:
        """The picture as limited-range yuv420p, turned as it is to be shown."""
        matrix = _matrix_of(picture)
        plain = picture if self._is_plain(picture) else self._convert(picture)
        y, u, v = (self._orientation.apply(plane) for plane in views(plain))
        return Planes(y, u, v, matrix)

    def _is_plain(self, picture: VideoFrame) -> bool:
        same_size = (picture.width, picture.height) == self._size
        limited = picture.color_range != ColorRange.JPEG
        return picture.format.name == "yuv420p" and limited and same_size

    def _convert(self, picture: VideoFrame) -> VideoFrame:
        width, height = self._size
        full = picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
        rgb = picture.format.is_rgb
        return self._reformatter.reformat(
            picture,
            width,
            height,
            "yuv420p",
            dst_colorspace=Colorspace.ITU601 if rgb else None,
            src_color_range=ColorRange.JPEG if full or rgb else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
        )


def views(picture: VideoFrame) -> tuple[Plane, Plane, Plane]:
    """The three planes of a yuv420p picture as arrays over its own memory; it stays alive."""
    width, height = picture.width, picture.height
    half = ((width + 1) // 2, (height + 1) // 2)
    y, u, v = picture.planes[:3]
    return _view(y, width, height), _view(u, *half), _view(v, *half)


def _view(plane: VideoPlane, width: int, height: int) -> Plane:
    stride = plane.line_size
    flat = np.frombuffer(memoryview(plane), np.uint8, count=stride * (height - 1) + width)
    return np.lib.stride_tricks.as_strided(flat, (height, width), (stride, 1))


def _matrix_of(picture: VideoFrame) -> Matrix:
    if picture.format.is_rgb:
        return Matrix.BT601
    guess = Matrix.BT709 if picture.height >= HD_LINES else Matrix.BT601
    return MATRICES.get(picture.colorspace, guess)
