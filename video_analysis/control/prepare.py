"""From an order to a job: the file is opened, the models are chosen."""

import time
from pathlib import Path

import msgspec

from contanos import __version__
from contanos.video.codec import FrameCodec
from contanos.video.encoder import PictureFormat
from contanos.video.limits import Limits
from contanos.video.source import VideoSource
from video_analysis.control.books import Order
from video_analysis.job import Job, Pictures
from video_analysis.models.load import choose_models, skeleton_of
from video_analysis.pipeline import graph_for
from video_analysis.results.metadata import Metadata
from video_analysis.settings import Settings


def open_source(path: str, settings: Settings) -> VideoSource:
    """The video of a task.

    Raises:
        VideoError: it cannot be used.
    """
    limits = Limits(settings.max_pixels, settings.max_frames)
    return FrameCodec.parse(settings.frame_codec).open(path, limits)


def make_job(order: Order, source: VideoSource, settings: Settings) -> Job:
    """Everything that the stages need to know.

    Raises:
        ModelError: the manifest does not know a model.
        SettingError: a model cannot run as asked.
    """
    models = choose_models(order.options)
    metadata = Metadata(
        task_id=order.task_id,
        version=__version__,
        width=source.width,
        height=source.height,
        time_base=source.time_base.as_integer_ratio(),
        stage=graph_for(order.options).last,
        skeleton=skeleton_of(models[1]),
        models=models,
        settings=msgspec.to_builtins(order.options),
    )
    return Job(
        task_id=order.task_id,
        options=order.options,
        source=order.source,
        bytes=Path(order.source).stat().st_size,
        frames_estimate=source.frames_estimate,
        folder=order.folder,
        partitions=settings.partitions,
        frame_codec=settings.frame_codec,
        pictures=Pictures.of(PictureFormat.of(source)),
        metadata=metadata,
        started=time.time(),
    )
