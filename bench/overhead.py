"""CPU a frame of each process, and how much of it is neither network nor decoding nor encoding."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from contanos.video.codec import FrameCodec
from contanos.video.record import from_record, to_record

Parts = Mapping[str, float]
"""CPU milliseconds a frame, by what they are spent on."""

_DECODED = 120  # frames


def floor(video: Path, frames: int, people: float, codec: FrameCodec) -> Parts:
    """What cannot be left out: `bench.floor`, and reading a frame's record."""
    command = [sys.executable, "-m", "bench.floor", str(video), str(frames), str(people)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    parts: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])["parts"]
    return parts | {"record": _reading(video, codec, frames)}


def needed(process: str, parts: Parts) -> float:
    """What of `parts` a service cannot do without: networks, decoding, encoding."""
    return {
        "backend": parts["decode"],
        "yolox": parts["detector"] + parts["record"],
        "rtmpose": parts["pose"] + parts["record"],
        "annotation": parts["encode"] + parts["record"],
    }.get(process, 0.0)


def print_table(spent: Parts, parts: Parts, memory: Parts, idle: Parts, alone: float) -> None:
    """The table of the services' processes, and the line of one process on `memory://`.

    Args:
        spent: CPU milliseconds a frame of each process.
        parts: what `floor` gave.
        memory: resident memory of each process, in MB.
        idle: CPU milliseconds a second of each process without work.
        alone: CPU milliseconds a frame of the one process.
    """
    print("\n| CPU, ms a frame | all | networks, decoding, encoding | the rest | idle, ms/s | MB |")
    print("| --- " * 6 + "|")
    for name, cpu in spent.items():
        print(_line(name, cpu, needed(name, parts), idle[name], memory[name]))
    total = sum(needed(name, parts) for name in spent)
    print(
        _line("all of them", sum(spent.values()), total, sum(idle.values()), sum(memory.values()))
    )
    once = sum(parts[each] for each in ("detector", "pose", "decode", "encode"))
    print(_line("one process on memory://", alone, once))
    print("\n  floor: " + ", ".join(f"{name} {cpu:.1f}" for name, cpu in parts.items()))


def _line(name: str, cpu: float, need: float, *more: float) -> str:
    cells = " | ".join(f"{each:.0f}" for each in more) if more else " | "
    return f"| {name} | {cpu:.1f} | {need:.1f} | {cpu - need:.1f} | {cells} |"


def _reading(video: Path, codec: FrameCodec, frames: int) -> float:
    """CPU milliseconds a frame of a process that reads frames: the record, and its pixels."""
    spent, count = 0.0, 0
    with codec.open(video) as source:
        for group in islice(codec.groups(source, max_frames=min(frames, _DECODED)), _DECODED):
            value, headers = to_record(group)
            started = time.process_time()
            read = from_record(value, headers)
            for frame_id in range(read.frame_id, read.end):
                read.frame(frame_id)
            spent += time.process_time() - started
            count += len(read)
    return 1000 * spent / count
