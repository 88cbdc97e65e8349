"""A job: a task with everything that its stages and outputs need, as it lies on the bus."""

from fractions import Fraction
from pathlib import Path

import msgspec

from contanos.errors import MessageError
from contanos.stage.contract import Task
from contanos.video.encoder import EncoderSettings, PictureFormat
from contanos.video.frame import Matrix
from video_analysis.annotation.stage import AnnotationPlan, AnnotationStage
from video_analysis.results.metadata import Metadata, ModelUsed
from video_analysis.results.stage import ResultsStage
from video_analysis.settings import Options, Settings
from video_analysis.workspace import VIDEO, WORK

Ratio = tuple[int, int]


class Pictures(msgspec.Struct, frozen=True, kw_only=True):
    """A `PictureFormat` that can be stored.

    Attributes:
        width: after rotation, in pixels.
        height: likewise.
        time_base: seconds per unit of pts.
        rate: nominal frames per second.
        sample_aspect_ratio: width of a pixel over its height.
        matrix: name of a `Matrix`.
    """

    width: int
    height: int
    time_base: Ratio
    rate: Ratio
    sample_aspect_ratio: Ratio
    matrix: str

    @classmethod
    def of(cls, pictures: PictureFormat) -> "Pictures":
        """The same, to be stored."""
        return cls(
            width=pictures.width,
            height=pictures.height,
            time_base=pictures.time_base.as_integer_ratio(),
            rate=pictures.rate.as_integer_ratio(),
            sample_aspect_ratio=pictures.sample_aspect_ratio.as_integer_ratio(),
            matrix=pictures.matrix.name,
        )

    def format(self) -> PictureFormat:
        """The same, to be used."""
        return PictureFormat(
            self.width,
            self.height,
            Fraction(*self.time_base),
            Fraction(*self.rate),
            Fraction(*self.sample_aspect_ratio),
            Matrix[self.matrix],
        )


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A task with everything that its outputs need.

    Attributes:
        task_id: the task.
        options: what its user chose.
        source: the input file.
        bytes: its size.
        frames_estimate: what its header promises; None where it says nothing.
        folder: where its outputs go.
        partitions: over how many its frames are spread.
        frame_codec: how its frames travel.
        pictures: size, timing and colour of its frames.
        metadata: what its result says of itself; its models are the detector and the pose model.
        started: when it was begun, in seconds since the epoch.
    """

    task_id: str
    options: Options
    source: str
    bytes: int
    frames_estimate: int | None
    folder: str
    partitions: int
    frame_codec: str
    pictures: Pictures
    metadata: Metadata
    started: float

    @property
    def detector(self) -> ModelUsed:
        """Finds its people."""
        return self.metadata.models[0]

    @property
    def pose(self) -> ModelUsed:
        """Finds their keypoints."""
        return self.metadata.models[1]

    @property
    def outputs(self) -> Path:
        """Folder for what is final."""
        return Path(self.folder)

    @property
    def work(self) -> Path:
        """Folder for what is not final yet."""
        return self.outputs / WORK

    @property
    def parts(self) -> Path:
        """Folder for what is written of the data so far."""
        return self.work / "parts"

    @property
    def frames_expected(self) -> int | None:
        """Frames that will come, as far as the header tells."""
        left, limit = (
            (self.frames_estimate or 0) - self.options.first_frame,
            self.options.max_frames,
        )
        return min(left, limit or left) if left > 0 else limit

    def annotation(self, settings: Settings) -> AnnotationStage:
        """The stage that writes the annotated video."""
        assert self.metadata.skeleton is not None
        pictures = self.pictures.format()
        plan = AnnotationPlan(
            segments=self.work / "segments",
            video=self.outputs / VIDEO,
            source=Path(self.source),
            pictures=pictures,
            encoder=EncoderSettings(settings.video_preset, settings.video_crf),
            segment_frames=settings.segment_frames_for(pictures.width, pictures.height),
            skeleton=self.metadata.skeleton,
            trail=self.options.trail,
        )
        return AnnotationStage(plan)

    def results(self) -> ResultsStage:
        """The stage that writes the data."""
        first = self.options.first_frame
        return ResultsStage(self.outputs, self.parts, self.metadata, first)


def job_of(task: Task) -> Job:
    """The job of a task that `read_task` made."""
    assert isinstance(task.job, Job)
    return task.job


def read_task(value: bytes) -> Task:
    """The task that a job in the table of tasks is.

    Raises:
        MessageError: it is no job of this version.
    """
    try:
        job = msgspec.json.decode(value, type=Job)
    except msgspec.MsgspecError as e:
        raise MessageError(f"not a job: {e}; run the same version everywhere") from e
    pictures = job.pictures
    rate = float(Fraction(*pictures.rate))
    return Task(
        job.task_id,
        pictures.width,
        pictures.height,
        rate,
        job.partitions,
        job.options.first_frame,
        job.options,
        job,
    )
