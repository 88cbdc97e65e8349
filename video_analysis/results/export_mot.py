"""MOTChallenge text: what TrackEval scores.

`frame,id,x,y,w,h,conf,-1,-1,-1`, frames from 1, tracked detections only, each with its track's box:
what trackers report, and are compared by. Pixels have their origin
at the picture's top-left corner and are not shifted by 1, as in the files of the trackers that
results are compared with.
"""

from collections.abc import Iterator

from video_analysis.results.boxes import xywh
from video_analysis.results.reader import Results


def mot_lines(results: Results) -> Iterator[str]:
    """One line for each tracked detection."""
    for frame in results:
        for detection in frame.detections:
            if detection.track_id is not None:
                x, y, width, height = xywh(detection.track_bbox or detection.bbox)
                yield (
                    f"{frame.frame_id + 1},{detection.track_id},{x!r},{y!r},{width!r},{height!r},"
                    f"{detection.score!r},-1,-1,-1\n"
                )
