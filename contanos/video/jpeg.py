"""One frame as a plain JPEG file, from planar YUV to planar YUV.

A JPEG is full range by its standard (JFIF 1.02), a `Frame` limited; tables take one to the other.
Each value from black to white has a full-range one of its own, so the tables alone lose nothing.
"""

from typing import Any

import cv2
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from contanos.errors import MessageError
from contanos.video.frame import BLACK, NEUTRAL, Frame, Plane
from contanos.video.limits import Limits
from contanos.video.pictures import views

_LUMA, _CHROMA = 219, 224  # levels of limited range, ITU-T H.273, equations 20 to 22
_LEVELS = np.arange(256)
_FULL_LUMA = np.clip(np.round((_LEVELS - BLACK) * 255 / _LUMA), 0, 255).astype(np.uint8)
_FULL_CHROMA = np.clip(np.round((_LEVELS - NEUTRAL) * 255 / _CHROMA + NEUTRAL), 0, 255).astype(
    np.uint8
)
_LIMITED_LUMA = np.round(_LEVELS * _LUMA / 255 + BLACK).astype(np.uint8)
_LIMITED_CHROMA = np.round((_LEVELS - NEUTRAL) * _CHROMA / 255 + NEUTRAL).astype(np.uint8)


def encode_jpeg(frame: Frame, quality: int) -> bytes:
    """The frame's planes, 4:2:0, as a JPEG file.

    Args:
        frame: of any size.
        quality: 1 to 100, as in libjpeg.
    """
    chroma = (_mapped(plane, _FULL_CHROMA) for plane in (frame.u, frame.v))
    data = simplejpeg.encode_jpeg_yuv_planes(_mapped(frame.y, _FULL_LUMA), *chroma, quality=quality)
    return bytes(data)


def check_jpeg(data: bytes, width: int, height: int) -> None:
    """Looks at the header only.

    Raises:
        MessageError: it is no JPEG, or not 4:2:0 of this size.
    """
    try:
        found = simplejpeg.decode_jpeg_header(data)
    except ValueError as e:
        raise MessageError(f"the value is not a JPEG file: {e}") from e
    size_as_said, sampling = found[:2] == (height, width), found[3]
    if not size_as_said or found[2] != "YCbCr" or sampling not in _samplings(width, height):
        raise MessageError(f"the JPEG is {found}, not {width} x {height} in 4:2:0")


def decode_jpeg(data: bytes, width: int, height: int) -> tuple[tuple[Plane, Plane, Plane], bool]:
    """The planes of a JPEG file, 4:2:0 in limited range, and whether it is damaged.

    Raises:
        MessageError: it cannot be decoded, or is of another size.
    """
    context: Any = VideoCodecContext.create("mjpeg", "r")
    context.thread_count = 1
    context.options = {"max_pixels": str(Limits().max_pixels)}
    try:
        pictures = context.decode(Packet(data)) + context.decode(None)
    except FFmpegError as e:
        raise MessageError(f"the JPEG cannot be decoded: {e.strerror}") from e
    if [(each.width, each.height) for each in pictures] != [(width, height)]:
        raise MessageError(f"the JPEG does not hold one picture of {width} x {height}")
    picture = pictures[0]
    if picture.format.name[4:7] not in _samplings(width, height):
        raise MessageError(f"the JPEG's pictures are {picture.format.name}, not 4:2:0")
    y, u, v = views(picture)
    planes = (
        _mapped(y, _LIMITED_LUMA),
        _mapped(u, _LIMITED_CHROMA),
        _mapped(v, _LIMITED_CHROMA),
    )
    return planes, bool(picture.is_corrupt)


def _samplings(width: int, height: int) -> set[str]:
    """Names of 4:2:0; a single row or column of pixels has as much chroma by other names too."""
    across = {"440", "444"} if width == 1 else set()
    down = {"422", "444"} if height == 1 else set()
    return {"420"} | across | down


def _mapped(plane: Plane, table: Plane) -> Plane:
    """Level by level; the answer has no gaps between its rows."""
    return np.asarray(cv2.LUT(plane, table), dtype=np.uint8)
