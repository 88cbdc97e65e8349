"""H.264 as every player takes it: libx264, yuv420p, even sizes, no B-frames.

Without B-frames a packet can be shown as soon as it arrives, so the same packets serve the file
and the live outputs.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from av.container import OutputContainer
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from contanos.video.frame import Matrix
from contanos.video.source import VideoSource

# matrix, primaries and transfer of ITU-T H.273, tables 2 to 4
TAGS = {Matrix.BT601: (6, 6, 6), Matrix.BT709: (1, 1, 1), Matrix.BT2020: (9, 9, 14)}


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How hard libx264 works.

    Attributes:
        preset: of libx264; slower ones give smaller files.
        crf: constant quality; lower is better, and 18 is hard to tell from the source.
        threads: part of what decides the bytes, so never left to the machine. One costs the
            least total CPU, and the pipeline has other work for the other cores.
    """

    preset: str = "veryfast"
    crf: int = 23
    threads: int = 1


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What the pictures of one output have in common.

    Attributes:
        width: of the source picture, in pixels; the encoded one is even.
        height: likewise.
        time_base: seconds per unit of pts.
        rate: nominal frames per second, which steers libx264's rate control only.
        sample_aspect_ratio: width of a pixel over its height.
        matrix: how the planes relate to RGB.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    sample_aspect_ratio: Fraction = Fraction(1)
    matrix: Matrix = Matrix.BT709

    @classmethod
    def of(cls, source: VideoSource) -> Self:
        """The format of a source's frames."""
        return cls(
            source.width,
            source.height,
            source.time_base,
            source.rate,
            source.sample_aspect_ratio,
            source.matrix,
        )

    @property
    def even_size(self) -> tuple[int, int]:
        """Width and height of the encoded picture."""
        return self.width + self.width % 2, self.height + self.height % 2


def add_h264(
    container: OutputContainer, pictures: PictureFormat, settings: EncoderSettings
) -> VideoStream:
    """A stream of `container` that encodes such pictures."""
    stream = container.add_stream("libx264", rate=pictures.rate)
    context = stream.codec_context
    context.width, context.height = pictures.even_size
    context.pix_fmt = "yuv420p"
    context.time_base = stream.time_base = pictures.time_base
    context.sample_aspect_ratio = pictures.sample_aspect_ratio
    context.colorspace, context.color_primaries, context.color_trc = TAGS[pictures.matrix]
    context.color_range = ColorRange.MPEG
    context.thread_count = settings.threads
    context.options = {"preset": settings.preset, "crf": str(settings.crf), "bf": "0"}
    return stream
