"""What a commit says beside its offset, as the text that Kafka keeps with it.

    incarnation ; state ; note

The state is missing, or `=` and itself in base64 where it is small, or `@` and the offset of its
record in the topic of states. Offset, note and state thus change in one step or not at all.

The incarnation tells a topic from an earlier one of the same name: the brokers forget a deleted
topic's offsets only after a while.
"""

import base64
import binascii
from dataclasses import dataclass

from contanos.errors import SettingError

_LONGEST_NOTE = 800
_LONGEST_INLINE = 3000  # of the 4096 that brokers take (`offset.metadata.max.bytes`)


@dataclass(frozen=True, slots=True)
class Mark:
    """The text's parts.

    Attributes:
        incarnation: of the topic; empty fits any, as where an operator's tool set the offset.
        note: a position's note.
        inline: its state, where the text holds it.
        pointer: the offset of the state's record, where one does.
    """

    incarnation: str = ""
    note: str = ""
    inline: bytes | None = None
    pointer: int | None = None

    def text(self) -> str:
        """The parts in one."""
        if self.inline is not None:
            return f"{self.incarnation};={base64.b64encode(self.inline).decode()};{self.note}"
        pointer = "" if self.pointer is None else f"@{self.pointer}"
        return f"{self.incarnation};{pointer};{self.note}"

    def of(self, incarnation: str) -> bool:
        """Whether the commit was for this incarnation of the topic."""
        return self.incarnation in ("", incarnation)


def parse_mark(text: str | None) -> Mark:
    """The parts of a text; of one that is not ours, none."""
    parts = (text or "").split(";", 2)
    if len(parts) < 3:
        return Mark()
    incarnation, state, note = parts
    try:
        if state.startswith("="):
            return Mark(incarnation, note, inline=base64.b64decode(state[1:]))
        return Mark(incarnation, note, pointer=int(state[1:]) if state else None)
    except (ValueError, binascii.Error):
        return Mark()


def fits_inline(state: bytes) -> bool:
    """Whether a state is small enough to lie in the text."""
    return len(state) * 4 // 3 + 4 + _LONGEST_NOTE <= _LONGEST_INLINE


def checked_note(note: str) -> str:
    """`note` unchanged.

    Raises:
        SettingError: longer than 800 characters, or not ASCII.
    """
    if len(note) > _LONGEST_NOTE or not note.isascii():
        raise SettingError(f"a note of {len(note)} characters: use up to {_LONGEST_NOTE} of ASCII")
    return note
