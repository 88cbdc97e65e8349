"""Which partitions a member reads.

The group shares out the leading topics alone; what else belongs to a task follows its leading
partition. So a task's topics are always with one member, whatever the assignor does, and a follower
never causes a rebalance.
"""

import re

from contanos.bus.contract import Prefixes, TopicPartition, Wants
from contanos.bus.kafka.catalogue import Catalogue
from contanos.bus.topics import task_of

_TASK_ID = re.compile(r"[0-9a-z][0-9a-z-]*")

Incarnations = dict[TopicPartition, str]


class Assignment:
    """What a member's share amounts to.

    Attributes:
        share: partitions of leading topics that the group has given us.
        held: what is read now, and which incarnation of its topic.
    """

    def __init__(
        self, prefixes: Prefixes, catalogue: Catalogue, wants: Wants = lambda _: True
    ) -> None:
        self._wants = wants
        self.share: set[TopicPartition] = set()
        self.held: Incarnations = {}
        self._following = tuple(prefixes[:-1])
        self._leading = prefixes[-1]
        self._catalogue = catalogue

    def leading(self) -> frozenset[str]:
        """The leading topics there are."""
        return frozenset(
            name
            for name, entry in self._catalogue.all().items()
            if entry.phase != "making" and self._leads(name)
        )

    def gone(self) -> list[TopicPartition]:
        """What is held and should not be."""
        wanted = self._wanted()
        return [each for each, which in self.held.items() if wanted.get(each) != which]

    def come(self) -> Incarnations:
        """What should be held and is not."""
        return {each: which for each, which in self._wanted().items() if each not in self.held}

    def _wanted(self) -> Incarnations:
        wanted: Incarnations = {}
        for lead in sorted(self.share):
            entry = self._catalogue.live(lead.topic)
            if entry and self._wants(task_of(lead.topic)):
                wanted[lead] = entry.incarnation
                wanted |= self._followers(lead, entry.spec.partitions)
        return wanted

    def _followers(self, lead: TopicPartition, count: int) -> Incarnations:
        """What follows one of the `count` partitions of a leading topic."""
        task_id = task_of(lead.topic)
        entries = {
            name: entry
            for prefix in self._following
            if (entry := self._catalogue.live(name := f"{prefix}{task_id}"))
        }
        return {
            TopicPartition(name, partition): entry.incarnation
            for name, entry in entries.items()
            for partition in range(lead.partition, entry.spec.partitions, count)
        }

    def _leads(self, name: str) -> bool:
        rest = name.removeprefix(self._leading)
        return name != rest and bool(_TASK_ID.fullmatch(rest))
