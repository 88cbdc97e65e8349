"""Results: what was found, as data."""

from pathlib import Path

from contanos.messages import EndOfStream, FrameResult
from contanos.stage.contract import Item, TaskStage
from video_analysis.results.metadata import Metadata
from video_analysis.results.writer import ResultsWriter

FRAMES_PER_PART = 128


class ResultsStage(TaskStage):
    """Writes every frame's detections; a part file and its offsets go together."""

    name = "results"
    pixels = False

    def __init__(self, folder: Path, parts: Path, metadata: Metadata, first: int = 0) -> None:
        self._writer = ResultsWriter(folder, metadata, FRAMES_PER_PART, parts, first)
        self._durable = self._writer.durable

    def process(self, item: Item) -> FrameResult:
        self._writer.add(item.result)
        return item.result

    def checkpoint_due(self) -> bool:
        before, self._durable = self._durable, self._writer.durable
        return self._durable > before

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        """The part files are the state; the writer found them when it opened the folder."""

    def finish(self, end: EndOfStream) -> None:
        self._writer.finish()

    def discard(self) -> None:
        self._writer.discard()
