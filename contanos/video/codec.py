"""How frames travel to other processes: the setting `frame_codec`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from contanos.errors import SettingError
from contanos.video.frame import BadFrame, Frame
from contanos.video.grouping import SourceGroups
from contanos.video.limits import Limits
from contanos.video.single import SingleGroups, single
from contanos.video.source import VideoSource

SOURCE = "source"
_JPEG = re.compile(r"jpeg:([1-9]\d?|100)")


@dataclass(frozen=True, slots=True)
class FrameCodec:
    """How frames are compressed.

    Attributes:
        quality: of each frame as a JPEG, 1 to 100; None for the source's own packets.
    """

    quality: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a setting.

        >>> FrameCodec.parse("jpeg:90").quality
        90

        Raises:
            SettingError: it is neither `jpeg:Q` with Q from 1 to 100 nor `source`.
        """
        if text == SOURCE:
            return cls(None)
        match = _JPEG.fullmatch(text)
        if match is None:
            raise SettingError(
                f"frame_codec is {text!r}: give jpeg:Q with Q from 1 to 100, or {SOURCE}"
            )
        return cls(int(match[1]))

    def __str__(self) -> str:
        return SOURCE if self.quality is None else f"jpeg:{self.quality}"

    def open(self, path: str | Path, limits: Limits | None = None) -> VideoSource:
        """The video as `groups` needs it.

        Raises:
            VideoError: it cannot be used.
        """
        return VideoSource(path, limits, keep_packets=self.quality is None)

    def groups(
        self,
        source: VideoSource,
        start: int = 0,
        max_frames: int | None = None,
        source_id: str = "",
        wanted: Callable[[], bool] = lambda: True,
    ) -> SingleGroups | SourceGroups:
        """A source's frames in groups, in order; iterate once.

        Where groups begin and end, and what they hold, does not depend on `start`.

        Args:
            source: opened by `open`, not yet iterated over.
            start: begin with the group that holds this frame.
            max_frames: stop after so many frames of the source.
            source_id: goes into every group.
            wanted: asked at each frame of the source; when it says no, the groups end.

        Raises:
            SettingError: the source was not opened by `open`.
        """
        if self.quality is None:
            return SourceGroups(source, start, max_frames, source_id, wanted)
        return SingleGroups(source, self.quality, start, max_frames, source_id, wanted)

    def through(self, frame: Frame | BadFrame) -> Frame | BadFrame:
        """The frame as a reader of its record gets it; the same object where nothing is lost."""
        if self.quality is None or isinstance(frame, BadFrame):
            return frame
        size = (frame.width, frame.height)
        return single(frame, size, self.quality).frame(frame.frame_id)
