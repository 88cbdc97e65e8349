"""The reconciler: makes what is on the bus and on disk agree with what was ordered.

It looks again and again and does the next thing that is missing, so that it may be killed anywhere
and its heir goes on. A task's life: ordered; begun (its job is in the table of tasks, its topics
exist, an ingest feeds it); over (its outcome is noted); and, after the grace period, swept.

Reconcilers share the tasks by the partitions of one topic, `duty_all`, whose group they form: the
bus decides whose duty a task is, and passes it on when one dies.
"""

import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from contanos.bus import Bus, TopicPartition, TopicSpec
from contanos.bus.topics import task_of
from contanos.errors import BusError
from contanos.stage.progress import Positions, positions_of
from contanos.stage.tasks import Tasks
from video_analysis.control.books import Books, Order
from video_analysis.control.charge import Charge
from video_analysis.pipeline import graph_for
from video_analysis.settings import Settings

GROUP, DUTY, DUTY_PREFIX = "reconciler", "duty_all", "duty_"
_DUTIES = 8
_LOOK = 0.5  # seconds between looks, unless something is ordered
_SWEEP = 10.0  # seconds between sweeps for orphans
_HANDS = 8  # tasks that are opened or closed at once

log = structlog.get_logger(__name__)


class Reconciler:
    """Looks after every task whose duty it has.

    Args:
        bus: where the tasks are.
        tasks: those that are begun.
        settings: of the installation.
    """

    def __init__(self, bus: Bus, tasks: Tasks, settings: Settings) -> None:
        self.charges: dict[str, Charge] = {}
        self._bus = bus
        self._tasks = tasks
        self._settings = settings
        self._books = Books.on(bus)
        self._duties: set[int] = set()
        self._stopping = threading.Event()
        self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="reconciler")
        self._busy: dict[str, Future[None]] = {}
        self._orphans: dict[str, int] = {}
        self._swept = time.monotonic()
        bus.create_topic(DUTY, TopicSpec(partitions=_DUTIES))
        self._consumer = bus.consumer(GROUP, [DUTY_PREFIX], self)
        self._books.orders.on_change(self._consumer.wakeup)

    def run(self) -> None:
        """Look until stopped."""
        try:
            while not self._stopping.is_set():
                self._consumer.poll(1, _LOOK)
                self._look()
        finally:
            self._hands.shutdown()
            self._consumer.close()
            for charge in self.charges.values():
                charge.release()

    def stop(self) -> None:
        """Ask `run` to return; tasks stay as they are, for the next one. Safe from any thread."""
        self._stopping.set()
        self._consumer.wakeup()

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """These tasks are ours from now on."""
        self._duties |= {each.partition for each in partitions}

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Another reconciler goes on with these tasks."""
        self._duties -= {each.partition for each in partitions}

    def _look(self) -> None:
        """One look at everything; what takes longer is done by other threads."""
        try:
            orders = self._books.orders.all()
            self._let_go(orders)
            positions = self._positions()
            for task_id, order in sorted(orders.items(), key=lambda each: each[1].ordered):
                if self._ours(task_id) and task_id not in self._busy:
                    self._attend(task_id, order, positions)
            self._forget_outcomes()
            self._sweep(orders)
        except BusError as e:  # the broker may be away for a while; what was missed is seen later
            log.warning("the reconciler could not look", cause=str(e))

    def _attend(self, task_id: str, order: Order, positions: Positions) -> None:
        charge = self.charges.get(task_id)
        if charge is None:
            feeding = sum(each.feeding for each in self.charges.values())
            if feeding >= self._settings.tasks_at_once and not self._books.outcomes.get(task_id):
                return
            charge = Charge(self._bus, self._tasks, self._books, order, self._settings)
            self.charges[task_id] = charge
        if step := charge.next_step(positions):
            self._busy[task_id] = self._hands.submit(self._do, task_id, step)

    def _do(self, task_id: str, step: Callable[[], None]) -> None:
        """Runs in the pool."""
        try:
            step()
        except Exception:  # one task's trouble is no other's; the next look tries again
            log.exception("the reconciler could not act", task_id=task_id)

    def _let_go(self, orders: dict[str, Order]) -> None:
        """Forget what is done with, or another's duty."""
        self._busy = {key: each for key, each in self._busy.items() if not each.done()}
        for task_id in list(self.charges):
            if task_id in self._busy or (task_id in orders and self._ours(task_id)):
                continue
            self.charges.pop(task_id).release()

    def _positions(self) -> Positions:
        """Of the groups of every graph that has a task running."""
        feeding = [each.order.options for each in self.charges.values() if each.feeding]
        return positions_of(self._bus, *map(graph_for, feeding))

    def _forget_outcomes(self) -> None:
        oldest = time.time() - self._settings.outcome_seconds
        for task_id, outcome in self._books.outcomes.all().items():
            if outcome.at < oldest and self._books.orders.get(task_id) is None:
                self._books.outcomes.remove(task_id)

    def _sweep(self, orders: dict[str, Order]) -> None:
        """Delete topics that belong to no task, if two sweeps in a row find them so."""
        if time.monotonic() - self._swept < _SWEEP:
            return
        self._swept = time.monotonic()
        found = {each: self._orphans.get(each, 0) + 1 for each in self._strays(orders)}
        self._orphans = found
        for topic in [each for each, times in found.items() if times > 1]:
            log.warning("deleting a topic that belongs to no task", topic=topic)
            self._bus.delete_topic(topic)

    def _strays(self, orders: dict[str, Order]) -> list[str]:
        topics = [each for each in self._bus.topics() if not each.startswith(DUTY_PREFIX)]
        return [
            each for each in topics if task_of(each) not in orders and self._ours(task_of(each))
        ]

    def _ours(self, task_id: str) -> bool:
        return zlib.crc32(task_id.encode()) % _DUTIES in self._duties
