"""Video written in segments that survive a crash.

Every segment has an encoder of its own, so its bytes depend on its frames alone: a writer that
starts again at segment k writes what the first one would have written. A segment has its final
name only once it lies whole on the disk. NUT holds them because it keeps any time base exactly.
"""

import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from contanos.disk import as_output_error, whole_file
from contanos.video.canvas import Canvas
from contanos.video.encoder import EncoderSettings, PictureFormat, add_h264
from contanos.video.frame import Frame

FRAMES_PER_SEGMENT = 32
SEGMENT_NAME = re.compile(r"segment-(\d{6,})\.nut")


def segment_path(directory: Path, index: int) -> Path:
    """Where segment `index` lies."""
    return directory / f"segment-{index:06d}.nut"


def finished_segments(directory: Path) -> list[Path]:
    """The whole segments in `directory`, from the first on, up to a gap if there is one."""
    found = {int(m[1]) for m in map(SEGMENT_NAME.fullmatch, _names(directory)) if m}
    count = next(i for i in range(len(found) + 1) if i not in found)
    return [segment_path(directory, index) for index in range(count)]


class SegmentWriter:
    """Encodes pictures into segments.

    Attributes:
        next_segment: the number of the segment being written, or to be written next.
    """

    def __init__(
        self,
        directory: Path,
        pictures: PictureFormat,
        settings: EncoderSettings | None = None,
        *,
        frames_per_segment: int = FRAMES_PER_SEGMENT,
        next_segment: int = 0,
    ) -> None:
        """Goes on at `next_segment`; what lies at that number or later is written again.

        Raises:
            OutputError: the directory cannot be made.
        """
        self.next_segment = next_segment
        self._directory = directory
        self._pictures = pictures
        self._settings = settings or EncoderSettings()
        self._frames_per_segment = frames_per_segment
        self._frames = 0
        self._open = ExitStack()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        with as_output_error(directory):
            directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish_segment()
        else:
            self._leave(kind, error, trace)

    def canvas(self, frame: Frame) -> Canvas:
        """A copy of the frame to draw on."""
        return Canvas(frame)

    def write(self, canvas: Canvas) -> Path | None:
        """Encodes a picture; the segment that it completed, if it did.

        Raises:
            OutputError: the disk is full, or the folder may not be written.
        """
        try:
            stream, container = self._opened()
            with as_output_error(segment_path(self._directory, self.next_segment)):
                container.mux(stream.encode(canvas.picture))
        except BaseException as e:
            self._leave(type(e), e, e.__traceback__)
            raise
        self._frames += 1
        return self.finish_segment() if self._frames == self._frames_per_segment else None

    def finish_segment(self) -> Path | None:
        """Ends the segment now, full or not; its path, or None if it had no picture.

        Raises:
            OutputError: the disk is full, or the folder may not be written.
        """
        if self._container is None or self._stream is None:
            return None
        container, stream = self._container, self._stream
        try:
            with as_output_error(segment_path(self._directory, self.next_segment)):
                container.mux(stream.encode(None))
                container.close()
        except BaseException as e:
            self._leave(type(e), e, e.__traceback__)
            raise
        self._leave(None, None, None)
        self.next_segment += 1
        return segment_path(self._directory, self.next_segment - 1)

    def abandon(self) -> None:
        """Drops what was written of the segment at hand, and closes its file."""
        self._leave(InterruptedError, InterruptedError(), None)

    def _opened(self) -> tuple[VideoStream, OutputContainer]:
        if self._stream is None or self._container is None:
            path = segment_path(self._directory, self.next_segment)
            part = self._open.enter_context(whole_file(path))
            with as_output_error(path):
                self._container = self._open.enter_context(av.open(str(part), "w", "nut"))
            self._stream = add_h264(self._container, self._pictures, self._settings)
        return self._stream, self._container

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the segment its name, or drops it where there was an error."""
        self._container = self._stream = None
        self._frames = 0
        opened, self._open = self._open, ExitStack()
        with as_output_error(segment_path(self._directory, self.next_segment)):
            opened.__exit__(kind, error, trace)


def _names(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()] if directory.is_dir() else []
