"""One librdkafka consumer in a group, and what it holds.

The library tells, inside `poll`, which leading partitions the group gives and takes. Giving is only
noted; `align` then takes up the share and all that follows it, at the committed offsets. Taking is
done at once, as the group waits for it.
"""

import time
from collections.abc import Iterable, Mapping

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException
from confluent_kafka import TopicPartition as Spot

from contanos.bus.contract import Prefixes, Rebalance, TopicPartition, Wants
from contanos.bus.kafka.assignment import Assignment, Incarnations
from contanos.bus.kafka.buffers import Buffers
from contanos.bus.kafka.catalogue import Catalogue
from contanos.bus.kafka.config import Configs
from contanos.bus.kafka.faults import described, error_of, passing
from contanos.bus.kafka.mark import Mark, parse_mark
from contanos.bus.kafka.names import Names
from contanos.bus.kafka.states import States
from contanos.bus.topics import task_of
from contanos.errors import BusError

log = structlog.get_logger(__name__)

_SECONDS = 5.0  # for one question to the brokers
_AGAIN = 0.2  # seconds before a question that failed is asked again


class Member:
    """Keeps what is read in line with the group and with the topics there are.

    Attributes:
        client: the library's consumer.
        assignment: what is read.
        buffers: what has come of it.
        leaving: nothing is announced any more.
    """

    def __init__(
        self,
        configs: Configs,
        names: Names,
        catalogue: Catalogue,
        states: States,
        group: str,
        prefixes: Prefixes,
        rebalance: Rebalance | None,
        wants: Wants | None = None,
    ) -> None:
        self.assignment = Assignment(prefixes, catalogue, wants or (lambda _: True))
        self.buffers = Buffers()
        self.leaving = False
        self._names = names
        self._catalogue = catalogue
        self._states = states
        self._rebalance = rebalance
        self._version = -1
        self._leading: frozenset[str] | None = None
        self._not_before = 0.0
        self._member_id = ""
        self._paused = False
        self._doubted: set[str] = set()
        self.client = Consumer(configs.member(names.group(group)))
        self.client.subscribe(
            [names.pattern(prefixes[-1])],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    @property
    def current(self) -> bool:
        """Whether the group still counts us as who we were when we got our share."""
        return self.client.memberid() == self._member_id

    def align(self) -> None:
        """Give up what is not ours, or was deleted; take up what is new."""
        if self._doubted:
            self._give_up_doubted()
        if self._version == self._catalogue.version or time.monotonic() < self._not_before:
            return
        version = self._catalogue.version
        try:
            self._look_for_topics()
            self._release(self.assignment.gone())
            self._acquire(self.assignment.come())
        except KafkaException as e:
            if not passing(error_of(e)):
                raise BusError(described("take up partitions", error_of(e))) from e
            log.debug("partitions not taken up, tried again", cause=str(e))
            self._not_before = time.monotonic() + _AGAIN
        else:
            self._version = version

    def doubt(self, sources: Iterable[TopicPartition]) -> None:
        """A commit of these was refused, so they are given up with all of their tasks'.

        Those that are ours nevertheless, as where a rebalance took long, are taken up again at what
        is committed: whoever was refused has dropped what it had read beyond.
        """
        self._doubted |= {task_of(each.topic) for each in sources}

    def pause(self, full: bool) -> None:
        """Stop fetching while too much is held, and go on afterwards."""
        if full != self._paused and self.assignment.held:
            spots = self._spots(self.assignment.held)
            if full:
                self.client.pause(spots)
            else:
                self.client.resume(spots)
            self._paused = full

    def _on_assign(self, client: Consumer, partitions: list[Spot]) -> None:
        self.assignment.share.update(self._sources(partitions))
        client.incremental_assign([])
        self._version = -1

    def _on_revoke(self, client: Consumer, partitions: list[Spot]) -> None:
        self.assignment.share.difference_update(self._sources(partitions))
        if not self._release(self.assignment.gone()):
            client.incremental_unassign([])
        self._version = -1

    def _look_for_topics(self) -> None:
        """Have the client compare its subscription with the topics, if there are others now.

        It does so by itself, but once in a second, and for as long new topics would lie idle.
        """
        leading = self.assignment.leading()
        if leading != self._leading:
            self.client.list_topics(timeout=_SECONDS)
            self._leading = leading

    def _give_up_doubted(self) -> None:
        doubted, self._doubted = self._doubted, set()
        try:
            self._release([each for each in self.assignment.held if task_of(each.topic) in doubted])
        except KafkaException as e:
            raise BusError(described("give up partitions", error_of(e))) from e
        self._version = -1
        self._not_before = time.monotonic() + _AGAIN  # the client may be about to tell of the loss

    def _release(self, sources: list[TopicPartition]) -> bool:
        """Whether there was anything to release."""
        if not sources:
            return False
        self.client.incremental_unassign(self._spots(sources))
        for source in sources:
            del self.assignment.held[source]
            self.buffers.close(source)
            self._states.forget(source)
        if self._rebalance and not self.leaving:
            self._rebalance.revoked(sources)
        return True

    def _acquire(self, sources: Incarnations) -> None:
        if not sources:
            return
        spots = self.client.committed(self._spots(sources), timeout=_SECONDS)
        for source, spot in zip(self._sources(spots), spots, strict=True):
            if spot.error:
                raise KafkaException(spot.error)
            mark = parse_mark(spot.metadata)
            if spot.offset < 0 or not mark.of(sources[source]):
                spot.offset, mark = OFFSET_BEGINNING, Mark()
            self._states.learn(source, mark)
            self.buffers.open(source)
        self.client.incremental_assign(
            [Spot(each.topic, each.partition, each.offset) for each in spots]
        )
        self.assignment.held |= sources
        self._member_id = self.client.memberid()
        self._paused = False
        if self._rebalance:
            self._rebalance.assigned(list(sources))

    def _spots(
        self, sources: Iterable[TopicPartition] | Mapping[TopicPartition, str]
    ) -> list[Spot]:
        return [Spot(self._names.topic(each.topic), each.partition) for each in sources]

    def _sources(self, spots: list[Spot]) -> list[TopicPartition]:
        return [TopicPartition(self._names.local(each.topic), each.partition) for each in spots]
