"""Requests with conditions, and for a part of a file (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import NamedTuple

_TAG = re.compile(r'(W/)?("[^"]*")')
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Version:
    """What tells a file from any other that the same address has had.

    Attributes:
        etag: strong, with its quotes.
        modified: in whole seconds.
        size: in bytes.
    """

    etag: str
    modified: datetime
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """That tell a client."""
        return {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True)}


class Decision(NamedTuple):
    """What is answered.

    Attributes:
        status: 200, 206, 304, 412 or 416.
        start: the first byte that is sent.
        end: the one after the last.
    """

    status: int
    start: int = 0
    end: int = 0


def decide(headers: Mapping[str, str], version: Version, ranges: bool = True) -> Decision:
    """How to answer.

    Args:
        headers: of the request, their names in lower case.
        version: of the file.
        ranges: whether a part may be asked for, as with GET.

    Returns:
        For several ranges at once the whole file: a server may ignore them.
    """
    if not _is_wanted(headers, version):
        return Decision(412)
    if _is_known(headers, version):
        return Decision(304)
    whole = Decision(200, 0, version.size)
    asked = _RANGE.fullmatch(headers.get("range", "")) if ranges else None
    if asked is None or not _is_same(headers.get("if-range"), version):
        return whole
    return _part(asked[1], asked[2], version.size) or whole


def _is_wanted(headers: Mapping[str, str], version: Version) -> bool:
    """`If-Match`, or else `If-Unmodified-Since`."""
    if (tags := headers.get("if-match")) is not None:
        strong = {tag for weak, tag in _TAG.findall(tags) if not weak}
        return tags.strip() == "*" or version.etag in strong
    since = _moment(headers.get("if-unmodified-since"))
    return since is None or version.modified <= since


def _is_known(headers: Mapping[str, str], version: Version) -> bool:
    """`If-None-Match`, or else `If-Modified-Since`."""
    if (tags := headers.get("if-none-match")) is not None:
        return tags.strip() == "*" or version.etag in {tag for _, tag in _TAG.findall(tags)}
    since = _moment(headers.get("if-modified-since"))
    return since is not None and version.modified <= since


def _is_same(if_range: str | None, version: Version) -> bool:
    """Whether the client's other parts are of this version."""
    if if_range is None:
        return True
    return if_range.strip() == version.etag or _moment(if_range) == version.modified


def _part(first: str, last: str, size: int) -> Decision | None:
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    return Decision(206, start, end) if start < end else Decision(416)


def _moment(text: str | None) -> datetime | None:
    """A date in a header; None if it is none, which is as if it was not sent."""
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
