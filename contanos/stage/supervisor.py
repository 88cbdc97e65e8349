"""Keeps runners alive: one thread each, restarted with back-off when it dies."""

import threading
from collections.abc import Callable, Sequence

import structlog

from contanos.stage.runner import Runner

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds

log = structlog.get_logger(__name__)

RunnerFactory = Callable[[], Runner]


class Supervisor:
    """Runs one runner of each factory until `stop`.

    A runner that raises is replaced by a new one, which goes on from the committed offsets; the
    pause before it doubles each time, so that a permanent fault does not spin.
    """

    def __init__(self, factories: Sequence[RunnerFactory]) -> None:
        self._stopping = threading.Event()
        self._runners: dict[int, Runner] = {}
        self._threads: list[threading.Thread] = []
        for i, make in enumerate(factories):
            # Made here, not in the thread: each group is subscribed before the first record.
            self._runners[i] = make()
            name = self._runners[i].node.stage
            thread = threading.Thread(target=self._keep, args=(i, make), name=name, daemon=True)
            self._threads.append(thread)

    def start(self) -> None:
        """Start every thread."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop in the order of the flow; False if a thread had not ended in `timeout` seconds."""
        self._stopping.set()
        for i, thread in enumerate(self._threads):
            self._runners[i].stop()
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def _keep(self, index: int, make: RunnerFactory) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            runner = self._runners[index]
            try:
                runner.run()
                return
            except BaseException:  # the supervisor's purpose: a worker's death is not the process's
                log.exception("runner died, starting another", stage=runner.node.stage)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._runners[index] = make()
