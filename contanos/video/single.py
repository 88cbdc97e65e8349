"""Each frame alone, as a JPEG."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

from contanos.video.frame import BadFrame, Frame, Matrix
from contanos.video.group import JPEG, FrameGroup, Place
from contanos.video.jpeg import encode_jpeg
from contanos.video.packets import MAX_BYTES
from contanos.video.source import VideoSource


def single(
    each: Frame | BadFrame, size: tuple[int, int], quality: int, source_id: str = ""
) -> FrameGroup:
    """A group of one frame, as a JPEG, or empty for a failed one.

    Args:
        each: a frame.
        size: width and height of the source's frames, in pixels.
        quality: of the JPEG, 1 to 100.
        source_id: what the frame is of.
    """
    place, payload, matrix = _compressed(each, quality)
    return FrameGroup(
        frame_id=each.frame_id,
        places=(place,),
        time_base=each.time_base,
        width=size[0],
        height=size[1],
        matrix=matrix,
        codec=JPEG,
        payload=payload,
        source_id=source_id,
    )


def _compressed(each: Frame | BadFrame, quality: int) -> tuple[Place, bytes, Matrix]:
    if isinstance(each, BadFrame):
        return Place(each.pts, error=each.error), b"", Matrix.BT709
    payload = encode_jpeg(each, quality)
    error = _too_large(payload)
    place = Place(each.pts, each.duration, error, each.damaged)
    return place, b"" if error else payload, each.matrix


class SingleGroups:
    """Iterates over a source, once: each frame a JPEG; attributes as `SourceGroups`."""

    def __init__(
        self,
        source: VideoSource,
        quality: int,
        start: int = 0,
        max_frames: int | None = None,
        source_id: str = "",
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.fallbacks: Counter[str] = Counter()
        self.groups = 0
        self._source, self._quality, self._source_id = source, quality, source_id
        self._start, self._max_frames, self._wanted = start, max_frames, wanted

    def __iter__(self) -> Iterator[FrameGroup]:
        size = (self._source.width, self._source.height)
        frames = islice(self._source, self._max_frames)
        for each in takewhile(lambda _: self._wanted(), frames):
            if each.frame_id >= self._start:
                yield single(each, size, self._quality, self._source_id)


def _too_large(payload: bytes) -> str | None:
    if len(payload) <= MAX_BYTES:
        return None
    return f"its JPEG of {len(payload)} bytes is more than a record takes; lower the quality"
