"""One progressive picture for every interlaced one."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

from av import error
from av.filter import Graph
from av.video.frame import VideoFrame

T = TypeVar("T")


class Deinterlacer(Generic[T]):
    """Passes pictures through, each with what belongs to it, in order and none left out.

    Nothing is held back until the first interlaced picture; from there on bwdif, which looks one
    picture ahead, gives one for one and leaves progressive pictures as they are.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._waiting: deque[tuple[T, bool]] = deque()

    def push(self, picture: VideoFrame | None, tag: T) -> Iterator[tuple[VideoFrame | None, T]]:
        """Takes a picture, or a gap, with its tag; gives those that are ready."""
        if picture is not None and self._graph is None and not picture.interlaced_frame:
            yield picture, tag
            return
        if picture is None and not self._waiting:
            yield None, tag
            return
        if picture is not None and self._shape != _shape(picture):
            yield from self.flush()
            self._start(picture)
        self._waiting.append((tag, picture is not None))
        if picture is not None and self._graph is not None:
            self._graph.vpush(picture)
        yield from self._pull()

    def flush(self) -> Iterator[tuple[VideoFrame | None, T]]:
        """Gives what is still held back."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pull()
            self._graph, self._shape = None, None

    def _start(self, picture: VideoFrame) -> None:
        graph = Graph()
        source = graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=self._time_base,
        )
        bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
        self._graph, self._shape = graph, _shape(picture)

    def _pull(self) -> Iterator[tuple[VideoFrame | None, T]]:
        while self._waiting:
            tag, has_picture = self._waiting[0]
            picture = self._next() if has_picture else None
            if has_picture and picture is None:
                return
            self._waiting.popleft()
            yield picture, tag

    def _next(self) -> VideoFrame | None:
        try:
            return self._graph.vpull() if self._graph is not None else None
        except (error.BlockingIOError, error.EOFError):
            return None


def _shape(picture: VideoFrame) -> tuple[int, int, str]:
    return picture.width, picture.height, picture.format.name
