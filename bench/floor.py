"""What a video costs at least on this machine; prints one line of JSON.

    python -m bench.floor VIDEO FRAMES PEOPLE

Each part runs alone: the detector on every frame and the pose network on every person, as many at
once as there are cores; decoding; encoding. Their CPU times add up, and all cores share the sum.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from contanos.video.encoder import EncoderSettings, PictureFormat
from contanos.video.frame import Frame
from contanos.video.segments import SegmentWriter
from contanos.video.source import VideoSource
from video_analysis.models.load import Models, load_models
from video_analysis.settings import Options, Settings

_MOST = 120  # inferences of one kind that are timed


def main(video: Path, frames: int, people: float) -> None:
    """Time the parts."""
    settings = Settings()
    workers = settings.workers
    models = load_models(Options(), workers)
    decoded, decoding = _decode(video, frames)
    detecting = _inference(models, decoded[0], workers, "detector")
    posing = _inference(models, decoded[0], workers, "pose") * people
    encoding = _encode(video, decoded, settings)
    parts = {"detector": detecting, "pose": posing, "decode": decoding, "encode": encoding}
    fps = 1000 * workers / sum(parts.values())
    print(json.dumps({"fps": fps, "frames": frames, "people": people, "parts": parts}))


def _decode(video: Path, frames: int) -> tuple[list[Frame], float]:
    """Some frames of the video, and CPU milliseconds a frame."""
    with VideoSource(video) as source:
        started = time.process_time()
        wanted = min(frames, _MOST)
        decoded = [each for each in islice(source, wanted) if isinstance(each, Frame)]
        return decoded, 1000 * (time.process_time() - started) / len(decoded)


def _inference(models: Models, frame: Frame, workers: int, which: str) -> float:
    """CPU milliseconds a frame, or a person, of the network alone."""
    if which == "detector":
        blob, units, session = models.detector.blob(frame), 1, models.detector.session
    else:
        blob, units, session = (
            models.pose.empty_batch(),
            models.pose.batch_size,
            models.pose.session,
        )
    call = partial(session.run, {"input": blob})
    return 1000 * workers * _seconds_each(call, workers) / units


def _seconds_each(call: Callable[[], object], workers: int) -> float:
    with ThreadPoolExecutor(workers) as pool:
        _all(pool.submit(call) for _ in range(2 * workers))
        started = time.perf_counter()
        _all(pool.submit(call) for _ in range(_MOST))
        return (time.perf_counter() - started) / _MOST


def _all(futures: Iterable[object]) -> None:
    for future in list(futures):
        future.result()  # type: ignore[attr-defined]


def _encode(video: Path, frames: list[Frame], settings: Settings) -> float:
    """CPU milliseconds a frame."""
    with VideoSource(video) as source:
        pictures = PictureFormat.of(source)
    encoder = EncoderSettings(settings.video_preset, settings.video_crf)
    started = time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        SegmentWriter(
            Path(folder), pictures, encoder, frames_per_segment=settings.segment_frames
        ) as writer,
    ):
        for frame in frames:
            writer.write(writer.canvas(frame))
    return 1000 * (time.process_time() - started) / len(frames)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
