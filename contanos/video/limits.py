"""What a video may claim before we refuse to touch it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold before anything is decoded.

    Attributes:
        max_pixels: of one picture, width times height.
        max_frames: of the whole video.
    """

    max_pixels: int = 8192 * 8192
    max_frames: int = 2_000_000
