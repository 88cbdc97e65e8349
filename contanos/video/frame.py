"""One decoded picture, kept as the codec gives it: 8-bit planar YUV 4:2:0, limited range.

A full picture is never turned into BGR on the way to a model; only what the model samples is.
"""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from contanos.video.patch import warped, warped_chroma

Plane: TypeAlias = npt.NDArray[np.uint8]
Picture: TypeAlias = npt.NDArray[np.uint8]
Affine: TypeAlias = npt.NDArray[np.floating[Any]]

BLACK = 16
NEUTRAL = 128


class Matrix(Enum):
    """How YUV and RGB relate; the values are Kr and Kb of ITU-T H.273, table 4."""

    BT601 = (0.299, 0.114)
    BT709 = (0.2126, 0.0722)
    BT2020 = (0.2627, 0.0593)


@cache
def yuv_to_bgr(matrix: Matrix) -> npt.NDArray[np.float32]:
    """Limited-range 8-bit YUV to full-range BGR: float32 [3, 4], the last column is the offset.

    ITU-T H.273, equations 35 to 38 and 41 to 43, solved for B, G and R.
    """
    kr, kb = matrix.value
    kg = 1 - kr - kb
    luma, chroma = 255 / 219, 255 / 112
    u_to_b, v_to_r = chroma * (1 - kb), chroma * (1 - kr)
    rows = [[u_to_b, 0.0], [-u_to_b * kb / kg, -v_to_r * kr / kg], [0.0, v_to_r]]
    return np.array(
        [[luma, u, v, -luma * BLACK - NEUTRAL * (u + v)] for u, v in rows], dtype=np.float32
    )


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Frame:
    """One decoded picture; passed by reference between stages and never changed.

    Attributes:
        frame_id: 0 for the first frame, in presentation order, without gaps.
        pts: presentation time in units of `time_base`.
        time_base: seconds per unit of `pts`.
        y: luma, uint8 [height, width], 16 is black and 235 is white.
        u: blue difference, uint8 [ceil(height / 2), ceil(width / 2)], 128 is neutral.
        v: red difference, likewise.
        matrix: how the planes relate to RGB.
        duration: how long the picture is shown, in units of `time_base`; 0 where unknown.
        damaged: the decoder concealed errors in this picture.
    """

    frame_id: int
    pts: int
    time_base: Fraction
    y: Plane
    u: Plane
    v: Plane
    matrix: Matrix = Matrix.BT709
    duration: int = 0
    damaged: bool = False

    @property
    def width(self) -> int:
        """Of the picture after rotation, in pixels."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Of the picture after rotation, in pixels."""
        return int(self.y.shape[0])

    @property
    def seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    def bgr(self) -> Picture:
        """The whole picture as BGR, uint8 [height, width, 3]."""
        return self.resize((self.width, self.height))

    def resize(self, size: tuple[int, int]) -> Picture:
        """The whole picture, scaled bilinearly.

        Args:
            size: width and height of the answer, in pixels.

        Returns:
            BGR, uint8 [height, width, 3].
        """
        return self._to_bgr(*(cv2.resize(plane, size) for plane in (self.y, self.u, self.v)))

    def warp(self, affine: Affine, size: tuple[int, int]) -> Picture:
        """A patch of the picture, sampled bilinearly; black where it leaves the picture.

        Where it shrinks by two or more, pixels are averaged first, so that none is skipped.

        Args:
            affine: float [2, 3], from source pixels to the patch's pixels; (0, 0) is the centre
                of the top-left pixel in both, as in `cv2.warpAffine`.
            size: width and height of the patch, in pixels.

        Returns:
            BGR, uint8 [height, width, 3].
        """
        luma = warped(self.y, affine, size, BLACK)
        chroma = (warped_chroma(each, affine, size, NEUTRAL) for each in (self.u, self.v))
        return self._to_bgr(luma, *chroma)

    def _to_bgr(self, y: Any, u: Any, v: Any) -> Picture:
        bgr = cv2.transform(cv2.merge((y, u, v)), yuv_to_bgr(self.matrix))
        return np.asarray(bgr, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class BadFrame:
    """The place of a frame that could not be decoded.

    Attributes:
        frame_id: the number that the frame has among all frames, failed ones counted.
        pts: presentation time in units of `time_base`.
        time_base: seconds per unit of `pts`.
        error: what went wrong, in words for a person.
    """

    frame_id: int
    pts: int
    time_base: Fraction
    error: str

    @property
    def seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)
