"""Supervises the processes of an installation on one machine."""

import sys
import time
from collections.abc import Sequence

from contanos.service.child import Child, ChildSpec
from contanos.service.stopping import Stopping

_LOOK = 0.05  # seconds between two looks whether a process has ended


class Children:
    """Keeps processes alive until it is asked to stop, then ends them one after another.

    Args:
        specs: the processes in the order of the flow, which is that in which they end.
        grace: seconds that each has to end by itself.
    """

    def __init__(self, specs: Sequence[ChildSpec], grace: float = 30.0) -> None:
        self._children = [Child(spec, say, warn) for spec in specs]
        self._grace = grace

    def run(self, stopping: Stopping) -> None:
        """Work until `stopping` is asked for; asked a second time, kill what still runs."""
        for child in self._children:
            child.start()
        try:
            while not (why := stopping.wait(3600)):
                continue
            say(f"stopping ({why})")
        finally:
            self._stop(stopping)

    def _stop(self, stopping: Stopping) -> None:
        for child in self._children:
            child.retire()
        hurry = False
        for child in self._children:
            hurry = self._end(child, stopping, hurry)
            child.join()

    def _end(self, child: Child, stopping: Stopping, hurry: bool) -> bool:
        """End one; whether the next may take its time no longer."""
        child.terminate()
        deadline = time.monotonic() + self._grace
        while child.alive and not hurry and time.monotonic() < deadline:
            hurry = bool(stopping.wait(_LOOK))
        if child.alive:
            why = "asked again to stop" if hurry else f"not stopped in {self._grace:g} s"
            warn(f"{child.called}: {why}; killed")
            child.kill()
        return hurry


def say(line: str) -> None:
    """Tell whoever started us. In one write, so that two threads' lines stay apart."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def warn(line: str) -> None:
    """Tell them what went wrong."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
