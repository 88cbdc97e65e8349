"""Keeps runners alive: one thread each, restarted with back-off when it dies."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from contanos.stage.meter import Meter
from contanos.stage.runner import Runner
from contanos.stage.tasks import Tasks

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0  # seconds
_HEALTHY = 60.0  # seconds after which earlier deaths no longer count
_DEATHS = 5  # in a row, then the tasks at hand are failed

log = structlog.get_logger(__name__)

RunnerFactory = Callable[[], Runner]


class Supervisor:
    """Runs one runner of each factory until `stop`.

    A runner that raises is replaced by a new one, which goes on from the committed offsets; the
    pause before it doubles each time, so that a permanent fault does not spin. Tasks that are at
    hand when it dies again and again are failed.
    """

    def __init__(
        self, factories: Sequence[RunnerFactory], tasks: Tasks, meter: Meter | None = None
    ) -> None:
        self._tasks = tasks
        self._meter = meter or Meter()
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

    def ended(self) -> str | None:
        """The stage whose thread has ended though nobody stopped it, or None."""
        ended = [thread.name for thread in self._threads if not thread.is_alive()]
        return ended[0] if ended and not self._stopping.is_set() else None

    def _keep(self, index: int, make: RunnerFactory) -> None:
        deaths = 0
        while not self._stopping.is_set():
            runner, started = self._runners[index], time.monotonic()
            try:
                runner.run()
                return
            except BaseException as e:  # the purpose: a worker's death is not the process's
                deaths = 1 if time.monotonic() - started > _HEALTHY else deaths + 1
                stage = runner.node.stage
                log.exception("runner died, starting another", stage=stage, deaths=deaths)
                self._meter.restart(stage)
                if deaths >= _DEATHS:
                    self._give_up(runner, e)
            self._stopping.wait(min(_FIRST_PAUSE * 2**deaths, _LONGEST_PAUSE))
            self._replace(index, make)

    def _replace(self, index: int, make: RunnerFactory) -> None:
        while not self._stopping.is_set():
            try:
                self._runners[index] = make()
            except Exception:  # such as a broker that is away: it may come back
                log.exception("no new runner yet", stage=self._runners[index].node.stage)
                self._stopping.wait(_LONGEST_PAUSE)
            else:
                return

    def _give_up(self, runner: Runner, error: BaseException) -> None:
        """Fail the tasks that keep killing a runner, so that nobody waits for them for ever."""
        for task_id in runner.victims:
            self._tasks.fail(task_id, runner.node.stage, error)
