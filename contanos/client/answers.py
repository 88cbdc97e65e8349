"""What an answer that is no success means."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from contanos.errors import (
    NotFound,
    Refused,
    ServerError,
    ServerFailed,
    TryLater,
    Unauthorised,
)

_LATER = frozenset({408, 423, 429, 502, 503, 504})
_LONGEST = 1000  # characters of a message


class _Problem(msgspec.Struct):
    """RFC 9457, as far as it is shown."""

    detail: str


def error_of(
    status: int,
    body: bytes,
    retry_after: str | None = None,
    location: str | None = None,
    now: datetime | None = None,
) -> ServerError:
    """The error that an answer is.

    Args:
        status: of the answer, 300 or more.
        body: a problem's details, or whatever stands between us and the server sent.
        retry_after: the header of that name.
        location: likewise.
        now: against which a date in `retry_after` counts; the time now by default.

    >>> error_of(404, b'{"detail": "no task 7f is yours"}')
    NotFound('no task 7f is yours')
    """
    detail = _detail(body)
    if status < 400:
        return Refused(f"the server sends us on to {location}: give that as the server", status)
    if status in _LATER:
        why = detail or f"the server cannot answer now (HTTP {status}); try again later"
        return TryLater(why, status, seconds_of(retry_after, now))
    if status >= 500 and status != 507:
        return ServerFailed(detail or f"something is wrong on the server (HTTP {status})", status)
    kind = {401: Unauthorised, 404: NotFound}.get(status, Refused)
    return kind(detail or f"the server refuses this (HTTP {status})", status)


def seconds_of(retry_after: str | None, now: datetime | None = None) -> float | None:
    """How long `Retry-After` (RFC 9110, section 10.2.3) asks for; None where it does not."""
    told = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", told):
        return float(told)
    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def printable(text: str) -> str:
    """Text from a server with nothing in it that a terminal acts on.

    >>> printable("a\\x1b[2Jb")
    'a [2Jb'
    """
    return "".join(each if each.isprintable() else " " for each in text)


def _detail(body: bytes) -> str:
    """In words for a person."""
    try:
        told = msgspec.json.decode(body, type=_Problem).detail
    except msgspec.MsgspecError:
        return ""
    return printable(told[:_LONGEST])
