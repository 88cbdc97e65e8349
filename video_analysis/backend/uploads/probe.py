"""Looks at one video, in a process of its own with limits; `python -m ... PATH SECONDS BYTES`.

It prints `begun` once it has limited itself, then one line of JSON: what it found, or why not.
"""

import os
import sys
from contextlib import suppress
from typing import TypedDict

import msgspec
import psutil

from contanos.errors import VideoError
from contanos.video.codec import FrameCodec
from contanos.video.limits import Limits
from video_analysis.settings import read_settings

try:
    import resource
except ModuleNotFoundError:  # Windows: its caller's clock is the only limit
    resource = None  # type: ignore[assignment]

BEGUN = "begun"

_FILES = 64


class Found(TypedDict):
    """A video that can be used.

    Attributes:
        width: of its pictures, after rotation, in pixels.
        height: likewise.
        frames: that its header promises, if it does.
        seconds: likewise.
    """

    width: int
    height: int
    frames: int | None
    seconds: float | None


def look(path: str) -> Found:
    """Open a video and decode its first picture.

    Raises:
        VideoError: it cannot be used.
    """
    settings = read_settings()
    codec = FrameCodec.parse(settings.frame_codec)
    with codec.open(path, Limits(settings.max_pixels, settings.max_frames)) as source:
        seconds = None if source.duration is None else float(source.duration)
        return Found(
            width=source.width,
            height=source.height,
            frames=source.frames_estimate,
            seconds=seconds,
        )


def limit(seconds: int, memory: int) -> None:
    """Let this process use no more than that from now on, and write nothing.

    Args:
        seconds: of processor time.
        memory: bytes of address space, beyond what it has.
    """
    if resource is None:
        return
    has = psutil.Process().memory_info().vms
    wanted = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: has + memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _FILES,
        resource.RLIMIT_CORE: 0,
    }
    for each, most in wanted.items():
        with suppress(ValueError, OSError):  # the system allows less than that already
            resource.setrlimit(each, (most, most))
    with suppress(OSError):
        os.nice(10)


def main(path: str, seconds: str, memory: str) -> None:
    """Look, and tell."""
    limit(int(float(seconds)) + 1, int(memory))
    print(BEGUN, flush=True)
    try:
        told: object = look(path)
    except VideoError as e:
        told = {"refused": str(e).replace(path, "the file")}
    except MemoryError:
        told = {"refused": "looking at it took more memory than the server allows"}
    print(msgspec.json.encode(told).decode(), flush=True)
    os._exit(0)  # whatever threads a decoder has left


if __name__ == "__main__":
    main(*sys.argv[1:])
