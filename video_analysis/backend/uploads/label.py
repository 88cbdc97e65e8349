"""Names that clients give to files: shown to people, never part of a path."""

import unicodedata

LONGEST = 255  # characters
_NAMELESS = "video"
_UNSHOWN = frozenset({"Cc", "Cs", "Cn", "Co", "Zl", "Zp"})  # Unicode's categories
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def label_of(name: str) -> str:
    """What is left of a name: its last part, composed (NFC), without what nobody sees.

    Control characters and those that turn the direction of writing could make it look like
    another one, or break a header.

    >>> label_of("../../etc/passwd")
    'passwd'
    >>> label_of("walk\\r\\n.mp4")
    'walk.mp4'
    """
    return shown_text(name.replace("\\", "/").rstrip("/").rpartition("/")[2])


def shown_text(text: str) -> str:
    """The same of what is no file's name, and has no parts.

    >>> shown_text("trial 3/4\\x00")
    'trial 3/4'
    """
    shown = "".join(each for each in unicodedata.normalize("NFC", text) if _is_shown(each))
    return shown.strip()[:LONGEST].strip() or _NAMELESS


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in _UNSHOWN and character not in _TURNS
