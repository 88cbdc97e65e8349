"""A task with everything that its outputs need."""

from dataclasses import dataclass
from pathlib import Path

from contanos.stage.contract import Task
from contanos.video.encoder import EncoderSettings, PictureFormat
from video_analysis.annotation.stage import AnnotationPlan, AnnotationStage
from video_analysis.results.metadata import Metadata
from video_analysis.results.stage import ResultsStage
from video_analysis.settings import Options, Settings
from video_analysis.workspace import VIDEO, WORK


@dataclass(frozen=True, slots=True)
class Job:
    """A task with everything that its outputs need.

    Attributes:
        task: what the stages see of it.
        options: what its user chose.
        source: the input file.
        folder: where its outputs go.
        pictures: size, timing and colour of its frames.
        metadata: what its result says of itself.
    """

    task: Task
    options: Options
    source: Path
    folder: Path
    pictures: PictureFormat
    metadata: Metadata

    @property
    def work(self) -> Path:
        """Folder for what is not final yet."""
        return self.folder / WORK

    def annotation(self, settings: Settings) -> AnnotationStage:
        """The stage that writes the annotated video."""
        assert self.metadata.skeleton is not None
        plan = AnnotationPlan(
            segments=self.work / "segments",
            video=self.folder / VIDEO,
            source=self.source,
            pictures=self.pictures,
            encoder=EncoderSettings(settings.video_preset, settings.video_crf),
            segment_frames=settings.segment_frames_for(self.task.width, self.task.height),
            skeleton=self.metadata.skeleton,
            trail=self.options.trail,
        )
        return AnnotationStage(plan)

    def results(self) -> ResultsStage:
        """The stage that writes the data."""
        return ResultsStage(self.folder, self.work / "parts", self.metadata)
