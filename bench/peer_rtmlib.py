"""One video through rtmlib, as a user would write it; prints one line of JSON.

python -m bench.peer_rtmlib VIDEO FRAMES onnxruntime|openvino
"""

import json
import sys
import tempfile
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
from rtmlib import Custom, PoseTracker, draw_skeleton

from contanos.models.fetch import fetch
from video_analysis.models import manifest
from video_analysis.settings import Options, Settings


def main(video: str, frames: int, backend: str) -> None:
    """Detect, pose, track, draw and encode every frame."""
    options, known = Options(), manifest()
    solution = partial(
        Custom,
        det_class="YOLOX",
        det=str(fetch(known[options.detector])),
        det_input_size=(416, 416),
        pose_class="RTMPose",
        pose=str(fetch(known[options.pose])),
        pose_input_size=(192, 256),
    )
    tracker = PoseTracker(solution, det_frequency=1, tracking=True, backend=backend)
    capture = cv2.VideoCapture(video)
    rate = Fraction(capture.get(cv2.CAP_PROP_FPS)).limit_denominator(1000)
    count = people = 0
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with av.open(str(Path(folder, "out.mp4")), "w") as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
            stream.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            stream.pix_fmt = "yuv420p"
            settings = Settings()
            stream.options = {"preset": settings.video_preset, "crf": str(settings.video_crf)}
            while count < frames:
                there, picture = capture.read()
                if not there:
                    break
                keypoints, scores = tracker(picture)
                people += len(keypoints)
                drawn = draw_skeleton(picture, keypoints, scores, kpt_thr=0.3)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(drawn, "bgr24")))
                count += 1
            container.mux(stream.encode(None))
        seconds = time.perf_counter() - started
    print(json.dumps({"fps": count / seconds, "frames": count, "people": people / count}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
