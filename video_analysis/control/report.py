"""The summary of a finished task, from what was counted on the way."""

from pathlib import Path

import msgspec

from contanos import __version__
from contanos.stage.progress import Progress
from video_analysis.control.books import IngestReport
from video_analysis.control.ingest import STAGE as INGEST
from video_analysis.job import Job
from video_analysis.results.reader import open_results
from video_analysis.results.summary import People, Proof, Source, Summary
from video_analysis.results.writer import RESULTS


def summarise(job: Job, ingest: IngestReport, progress: Progress, seconds: float) -> Summary:
    """What became of a task.

    Args:
        job: the task and its outputs.
        ingest: what was read.
        progress: what the stages counted.
        seconds: from the first frame to the finished outputs.
    """
    busy = {INGEST: ingest.seconds} | {stage: each.seconds for stage, each in progress.items()}
    return Summary(
        task_id=job.task_id,
        version=__version__,
        source=_source(job, ingest),
        reason=progress["results"].end or "failed",
        proof=_proof(ingest, progress),
        people=_people(job.outputs / RESULTS),
        wall_seconds=round(seconds, 3),
        stage_seconds={stage: round(spent, 3) for stage, spent in busy.items()},
        models=job.metadata.models,
        settings=msgspec.to_builtins(job.options),
    )


def _people(path: Path) -> People:
    tracks: set[int] = set()
    detections = posed = most = 0
    for frame in open_results(path):
        present = {each.track_id for each in frame.detections if each.track_id}
        tracks |= present
        most = max(most, len(present))
        detections += len(frame.detections)
        posed += sum(each.keypoints is not None for each in frame.detections)
    return People(tracks=len(tracks), detections=detections, posed=posed, most_at_once=most)


def _source(job: Job, ingest: IngestReport) -> Source:
    return Source(
        path=job.source,
        bytes=job.bytes,
        width=job.pictures.width,
        height=job.pictures.height,
        frames_estimate=job.frames_estimate,
        truncated=ingest.truncated,
        fallbacks=ingest.fallbacks,
    )


def _proof(ingest: IngestReport, progress: Progress) -> Proof:
    annotation, faceblur = progress.get("annotation"), progress.get("faceblur")
    return Proof(
        read=ingest.read,
        published=ingest.published,
        detected=progress["yolox"].done,
        posed=progress["rtmpose"].done,
        tracked=progress["bytetrack"].done,
        annotated=annotation.done if annotation else None,
        blurred=faceblur.done if faceblur else None,
        failed=progress["results"].failed,
    )
