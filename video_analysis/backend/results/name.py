"""What a file is called once it was fetched."""

from urllib.parse import quote

from video_analysis.backend.uploads.label import shown_text

_LONGEST = 100  # characters of what the user chose
_TAKEN = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))  # none of them may be in a file's name
_UNRESERVED = "!#$&+-.^_`|~"  # RFC 8187, section 3.2.1, besides letters and digits


def disposition(label: str, ending: str) -> str:
    """The header `Content-Disposition` (RFC 6266) of a file to be kept.

    Args:
        label: of the task, as its user chose it.
        ending: of the file's name, which tells it from the task's other files.

    >>> print(disposition("walk.mp4", "coco.json"))
    attachment; filename="walk.coco.json"
    >>> print(disposition("Zoë.mp4", "mot.txt"))
    attachment; filename="Zo_.mot.txt"; filename*=UTF-8''Zo%C3%AB.mot.txt
    """
    name = f"{_stem(label)}.{ending}"
    plain = "".join(each if " " <= each <= "~" and each != "%" else "_" for each in name)
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, _UNRESERVED)}"


def _stem(label: str) -> str:
    shown = shown_text(label.translate(_TAKEN))
    stem, dot, suffix = shown.rpartition(".")
    known = dot and stem and len(suffix) <= 4 and suffix.isalnum()
    return (stem if known else shown)[:_LONGEST].strip(" .") or "task"
