"""States beside offsets.

A small state lies in the commit itself. A larger one is a record in the topic's *topic of states*,
which is compacted: it is written and acknowledged first, then the commit names its offset. So a
commit that fails, as a zombie's does, leaves the last state as it was.

Keys are `group/partition/writer/0` and `.../1` in turn: compaction then keeps two records of each
writer, and the one that the last commit names is among them until a commit has named the other.
After a commit of unknown or bad outcome the writer takes a new name, since either may be the one.
"""

from uuid import uuid4

from contanos.bus.contract import Position, TopicPartition
from contanos.bus.kafka.append import Appender
from contanos.bus.kafka.catalogue import Entry
from contanos.bus.kafka.mark import Mark, checked_note, fits_inline
from contanos.bus.kafka.names import Names
from contanos.errors import SettingError

_LARGEST = 8 << 20


class States:
    """Writes the states of one member of a group, and knows what each commit said last."""

    def __init__(self, group: str, names: Names, appender: Appender) -> None:
        self._group = group
        self._names = names
        self._appender = appender
        self._marks: dict[TopicPartition, Mark] = {}
        self._writers: dict[TopicPartition, tuple[str, int]] = {}

    def learn(self, source: TopicPartition, mark: Mark) -> None:
        """What the former owner of `source` committed."""
        self._marks[source] = mark
        self._writers.pop(source, None)

    def forget(self, source: TopicPartition) -> None:
        """`source` is no longer ours."""
        self._marks.pop(source, None)
        self._writers.pop(source, None)

    def mark(self, source: TopicPartition, position: Position, entry: Entry) -> Mark:
        """What the commit of `position` shall say; its state is written, if it has one.

        Raises:
            SettingError: a state where the topic has none, or one that is too large.
        """
        note = checked_note(position.note)
        if position.state is None:
            last = self._marks.get(source, Mark())
            return Mark(entry.incarnation, note, last.inline, last.pointer)
        if fits_inline(position.state):
            return Mark(entry.incarnation, note, inline=position.state)
        return Mark(entry.incarnation, note, pointer=self._write(source, position.state))

    def check(self, source: TopicPartition, position: Position, entry: Entry) -> None:
        """Whether `position` can be committed.

        Raises:
            SettingError: it cannot.
        """
        checked_note(position.note)
        if position.state is not None and not entry.spec.states:
            raise SettingError(f"topic {source.topic} was made without states")
        if position.state is not None and len(position.state) > _LARGEST:
            raise SettingError(f"a state of {len(position.state)} bytes: at most 8 MiB are kept")

    def committed(self, source: TopicPartition, mark: Mark) -> None:
        """The commit is done."""
        if mark.pointer is not None and mark.pointer != self._pointer(source):
            name, turn = self._writers[source]
            self._writers[source] = name, 1 - turn
        self._marks[source] = mark

    def doubt(self, source: TopicPartition) -> None:
        """The commit failed, or nobody knows."""
        self._writers.pop(source, None)

    def _pointer(self, source: TopicPartition) -> int | None:
        last = self._marks.get(source)
        return last.pointer if last else None

    def _write(self, source: TopicPartition, state: bytes) -> int:
        name, turn = self._writers.setdefault(source, (uuid4().hex, 0))
        key = f"{self._group}/{source.partition}/{name}/{turn}"
        return self._appender.append(self._names.states(source.topic), key.encode(), state)
