"""All services but the web in this process, for control planes of any number of tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from video_analysis.control.desk import Desk
from video_analysis.services import SERVICES
from video_analysis.services.worker import Worker
from video_analysis.settings import Settings


@contextmanager
def working_stages(folder: Path, bus: str = "memory://") -> Iterator[Desk]:
    """Where tasks are ordered, and done, as long as the block runs."""
    before = os.environ.get("CONTANOS_DATA_DIR")
    os.environ["CONTANOS_DATA_DIR"] = str(folder)  # for the worker's own control plane, unused
    try:
        worker = Worker(list(SERVICES), Settings(bus=bus, workers=1, grace_seconds=1))
    finally:
        os.environ.pop("CONTANOS_DATA_DIR")
        if before is not None:
            os.environ["CONTANOS_DATA_DIR"] = before
    worker.start()
    try:
        yield worker.desk
    finally:
        worker.stop()
