"""The summary of a finished task, from what was counted on the way."""

from pathlib import Path

import msgspec

from contanos import __version__
from contanos.stage.graph import Graph
from contanos.stage.tasks import Progress
from contanos.video.source import VideoSource
from video_analysis.ingest import STAGE as INGEST
from video_analysis.job import Job
from video_analysis.results.reader import open_results
from video_analysis.results.summary import People, Proof, Source, Summary
from video_analysis.results.writer import RESULTS


def summarise(
    job: Job, graph: Graph, source: VideoSource, progress: Progress, seconds: float
) -> Summary:
    """What became of a task.

    Args:
        job: the task and its outputs.
        graph: its stages.
        source: its video, read to the end or as far as it was wanted.
        progress: what the stages counted.
        seconds: from the first frame to the finished outputs.
    """
    end = progress.ended["results"]
    stages = [INGEST, *(node.stage for node in graph.nodes)]
    return Summary(
        task_id=job.task.task_id,
        version=__version__,
        source=_source(job, source),
        reason=end.reason,
        proof=_proof(source, progress, "annotation" in graph.steps),
        people=_people(job.folder / RESULTS),
        wall_seconds=round(seconds, 3),
        stage_seconds={stage: round(progress.seconds[stage], 3) for stage in stages},
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


def _source(job: Job, source: VideoSource) -> Source:
    return Source(
        path=str(job.source),
        bytes=job.source.stat().st_size,
        width=source.width,
        height=source.height,
        frames_estimate=source.frames_estimate,
        truncated=source.truncated,
    )


def _proof(source: VideoSource, progress: Progress, video: bool) -> Proof:
    done = progress.done
    return Proof(
        read=source.read,
        published=done[INGEST],
        detected=done["yolox"],
        posed=done["rtmpose"],
        tracked=done["bytetrack"],
        annotated=done["annotation"] if video else None,
        failed=progress.failed["results"],
    )
