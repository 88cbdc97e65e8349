"""`contanos doctor`: what this machine can run, and the command that adds what is missing."""

import platform
import shutil
import sys
from collections.abc import Iterator
from typing import NamedTuple

import av
import onnxruntime
from rich.console import Console
from rich.table import Table

from contanos.errors import MachineError, ModelCorrupt, ModelError
from contanos.models.fetch import cache_dir, find
from contanos.models.onnxruntime import providers
from contanos.models.openvino import capabilities
from contanos.testing.java import JAVA_PACKAGE, LEAST_JAVA, MAVEN_PACKAGE, java, java_version
from video_analysis.models import manifest
from video_analysis.settings import Options, usable_cores

_HARDWARE_ENCODERS = ("h264_nvenc", "h264_qsv", "h264_vaapi", "h264_videotoolbox")


class Check(NamedTuple):
    """One finding.

    Attributes:
        what: was looked for.
        found: what is there; empty where it is missing.
        missing: the command that adds it.
        needed: whether `contanos run` needs it.
    """

    what: str
    found: str
    missing: str = ""
    needed: bool = False


def examine() -> None:
    """Print every finding.

    Raises:
        ModelError: something is missing that every run needs.
    """
    checks = list(_checks())
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for each in checks:
        mark = "[green]ok[/]" if each.found else ("[red]no[/]" if each.needed else "[yellow]--[/]")
        table.add_row(mark, each.what, each.found or f"missing; add it by: {each.missing}")
    Console(soft_wrap=True).print(table)
    if any(each.needed and not each.found for each in checks):
        raise ModelError("something that every run needs is missing, see above")


def _checks() -> Iterator[Check]:
    yield Check("python", platform.python_version())
    yield Check("cores", f"{usable_cores()} usable, {platform.machine()}, {platform.system()}")
    yield from _runtimes()
    yield from _encoders()
    yield from _models()
    yield from _kafka()


def _runtimes() -> Iterator[Check]:
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in providers())
    yield Check("onnxruntime", f"{onnxruntime.__version__} on {names}: f32, int8")
    found = capabilities()
    precisions = ""
    if found is not None:
        fast = {"FP32": "f32", "BF16": "bf16", "INT8": "int8"}
        precisions = ", ".join(name for key, name in fast.items() if key in found)
    yield Check("openvino", precisions, f"{sys.executable} -m pip install 'contanos[openvino]'")
    gpu = "CUDAExecutionProvider" in providers()
    yield Check("NVIDIA GPU", "yes" if gpu else "", "pip install onnxruntime-gpu")


def _encoders() -> Iterator[Check]:
    yield Check(
        "H.264 encoder",
        "libx264" if "libx264" in av.codecs_available else "",
        "pip install --force-reinstall av",
        needed=True,
    )
    hardware = [name for name in _HARDWARE_ENCODERS if name in av.codecs_available]
    if hardware:
        yield Check("H.264 in hardware", f"built in, unused: {', '.join(hardware)}")


def _models() -> Iterator[Check]:
    options = Options()
    for name in (options.detector, options.pose):
        try:
            found, missing = str(find(manifest()[name]) or ""), f"contanos models pull {name}"
        except ModelCorrupt as e:
            found, missing = "", str(e)
        yield Check(f"model {name}", found, missing)
    yield Check("cache", str(cache_dir()))


def _kafka() -> Iterator[Check]:
    what, add = f"java >= {LEAST_JAVA} (for Kafka)", f"apt-get install {JAVA_PACKAGE}"
    try:
        yield Check(what, java_version(java()))
    except MachineError:
        yield Check(what, "", add)
    yield Check("maven (for Kafka)", shutil.which("mvn") or "", f"apt-get install {MAVEN_PACKAGE}")
