"""Turning and mirroring a picture as its display matrix says."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame

from contanos.video.frame import Plane

DISPLAY_MATRIX = "DISPLAYMATRIX"


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes the one to show: first `transpose`, then the flips."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, plane: Plane) -> Plane:
        """The plane as it is to be shown; the same object where there is nothing to do."""
        if self.transpose:
            plane = np.asarray(cv2.transpose(plane), dtype=np.uint8)
        if self.flip_x or self.flip_y:
            code = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            plane = np.asarray(cv2.flip(plane, code), dtype=np.uint8)
        return plane


def orientation_of(picture: VideoFrame) -> Orientation:
    """The quarter turn and mirroring nearest to the picture's display matrix.

    The matrix maps stored to shown coordinates: x' = a x + c y, y' = b x + d y (ISO 14496-12,
    section 6.2.2), in the order a b u c d v x y w, 16.16 fixed point.
    """
    try:
        matrix = picture.side_data.get(DISPLAY_MATRIX)
    except ValueError:  # PyAV reads no side data where one kind is unknown to it, as EXIF is
        return _quarter_turns(picture.rotation)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = (int(n) for n in np.frombuffer(bytes(cast(Buffer, matrix)), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def _quarter_turns(degrees: int) -> Orientation:
    """For a turn counter-clockwise."""
    turns = round(degrees / 90) % 4
    return Orientation(turns % 2 == 1, turns in (2, 3), turns in (1, 2))
