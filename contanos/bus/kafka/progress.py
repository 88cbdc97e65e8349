"""How far groups have come, for all threads of a process that wait for it.

An ingest asks for every frame of every task. What is known in memory answers most of that; one
thread asks the brokers for the rest, a group at a time, and only while somebody waits.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import structlog

from contanos.bus.contract import TopicPartition
from contanos.bus.kafka.catalogue import Catalogue
from contanos.bus.kafka.offsets import Committed
from contanos.errors import BusError

log = structlog.get_logger(__name__)

_PAUSE = 0.2  # seconds between two questions of the same group

Ask = Callable[[str, Iterable[TopicPartition]], Committed]


class Progress:
    """What groups have committed.

    Args:
        ask: the brokers, for what a group has committed.
        catalogue: tells which incarnation of a topic counts.
    """

    def __init__(self, ask: Ask, catalogue: Catalogue) -> None:
        self._ask = ask
        self._catalogue = catalogue
        self._changed = threading.Condition()
        self._known: dict[tuple[str, TopicPartition], tuple[str, int]] = {}
        self._wanted: Counter[tuple[str, TopicPartition]] = Counter()
        self._closed = False
        self._thread: threading.Thread | None = None

    def note(self, group: str, source: TopicPartition, incarnation: str, offset: int) -> None:
        """A commit is known of."""
        with self._changed:
            known = self._known.get((group, source))
            if not known:
                self._prune()
            if not known or known[0] != incarnation or known[1] < offset:
                self._known[group, source] = incarnation, offset
                self._changed.notify_all()

    def lowest(self, groups: Iterable[str], source: TopicPartition) -> int:
        """How far the slowest of `groups` has come, as far as is known."""
        with self._changed:
            return min(self._offset(group, source) for group in groups)

    def wait(
        self, groups: Iterable[str], source: TopicPartition, offset: int, timeout: float
    ) -> bool:
        """Wait until every group has committed `offset` or beyond; False if time ran out."""
        names = list(groups)

        def reached() -> bool:
            return all(self._offset(name, source) >= offset for name in names)

        with self._changed:
            if reached():
                return True
            keys = [(name, source) for name in names]
            self._wanted.update(keys)
            self._start()
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: reached() or self._closed, timeout) and (
                    reached()
                )
            finally:
                self._wanted.subtract(keys)

    def close(self) -> None:
        """End the thread, and all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _offset(self, group: str, source: TopicPartition) -> int:
        incarnation, offset = self._known.get((group, source), ("", 0))
        entry = self._catalogue.live(source.topic)
        return offset if entry and entry.incarnation == incarnation else 0

    def _prune(self) -> None:
        """Forget topics that are gone, whoever deleted them."""
        for key in [each for each in self._known if not self._catalogue.live(each[1].topic)]:
            del self._known[key]

    def _start(self) -> None:
        if not self._thread:
            self._thread = threading.Thread(target=self._watch, name="kafka-progress", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while wanted := self._next_wanted():
            started = time.monotonic()
            for group, sources in wanted.items():
                self._look(group, sources)
            with self._changed:
                pause = started + _PAUSE - time.monotonic()
                self._changed.wait_for(lambda: self._closed, max(0.0, pause))

    def _next_wanted(self) -> dict[str, list[TopicPartition]]:
        """What is waited for; nothing once closed."""
        by_group: dict[str, list[TopicPartition]] = defaultdict(list)
        with self._changed:
            self._wanted = +self._wanted
            self._changed.wait_for(lambda: self._closed or +self._wanted)
            if not self._closed:
                for group, source in +self._wanted:
                    by_group[group].append(source)
        return by_group

    def _look(self, group: str, sources: list[TopicPartition]) -> None:
        try:
            found = self._ask(group, sources)
        except BusError as e:
            log.warning("progress not known, asked again", group=group, cause=str(e))
            return
        for source, (offset, mark) in found.items():
            entry = self._catalogue.live(source.topic)
            if entry and mark.of(entry.incarnation):
                self.note(group, source, entry.incarnation, offset)
