"""A picture that may be drawn on: a copy of a frame, in memory that the encoder takes as it is."""

import numpy as np
from av.video.frame import VideoFrame

from contanos.video.frame import Frame, Plane
from contanos.video.pictures import views


class Canvas:
    """A writable copy of a frame, of even size; an odd one has its last row or column repeated.

    Attributes:
        picture: what the encoder takes; its memory is that of the planes.
        y: luma, uint8 [height, width].
        u: blue difference, uint8 [height / 2, width / 2].
        v: red difference, likewise.
    """

    def __init__(self, frame: Frame) -> None:
        width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
        self.picture = VideoFrame(width, height, "yuv420p")
        self.picture.pts, self.picture.time_base = frame.pts, frame.time_base
        self.frame_id, self.pts, self.time_base = frame.frame_id, frame.pts, frame.time_base
        self.y, self.u, self.v = views(self.picture)
        _fill(self.y, frame.y)
        _fill(self.u, frame.u)
        _fill(self.v, frame.v)


def _fill(target: Plane, source: Plane) -> None:
    height, width = source.shape
    np.copyto(target[:height, :width], source)
    target[:height, width:] = target[:height, width - 1 : width]
    target[height:] = target[height - 1 : height]
