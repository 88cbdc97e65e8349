"""Has a video looked at by another process: a hostile file takes that one down, not us."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from contanos.errors import ContanosError
from video_analysis.backend.uploads.probe import BEGUN, Found

_PASSED_ON = (  # nothing secret: whatever can be read there, a hostile file may try to read
    "PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "SYSTEMROOT",
    "CONTANOS_MAX_PIXELS",
    "CONTANOS_MAX_FRAMES",
    "CONTANOS_FRAME_CODEC",
)
_PROGRAM = "video_analysis.backend.uploads.probe"


class CannotCheck(ContanosError):
    """Nothing can be said of the file: the process for it did not start."""


async def look_at(path: Path, seconds: float, memory: int) -> Found | str:
    """What the video is, or in words why it is refused.

    Args:
        path: the file.
        seconds: that it may take, and of processor time.
        memory: bytes that it may take.

    Raises:
        CannotCheck: it is not the file's fault.
    """
    process = await _start(path, seconds, memory)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        return f"looking at it took more than {seconds:g} s: convert it to MP4 with H.264"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    begun, _, told = said.decode(errors="replace").partition("\n")
    if begun != BEGUN:
        raise CannotCheck(f"the process that looks at videos ended with {process.returncode}")
    return _read(told, process.returncode or 0)


async def _start(path: Path, seconds: float, memory: int) -> asyncio.subprocess.Process:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    command = [sys.executable, "-m", _PROGRAM, str(path), str(seconds), str(memory)]
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=passed | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except OSError as e:
        raise CannotCheck(f"no process to look at videos: {e}") from e


def _read(told: str, status: int) -> Found | str:
    try:
        said = msgspec.json.decode(told)
    except msgspec.DecodeError:
        return (
            f"its decoder gave up (status {status}): it is damaged, or takes more memory or time "
            "than the server allows; convert it to MP4 with H.264"
        )
    if "refused" in said:
        return str(said["refused"])
    return msgspec.convert(said, Found)
