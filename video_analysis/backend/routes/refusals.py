"""Refusals of uploads, by their cause."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect

from contanos.errors import OutputError
from video_analysis.backend.problems import refused
from video_analysis.backend.uploads.faults import Busy, Gone, Silent, TooLarge, WrongOffset

_STATUSES = {TooLarge: 413, Busy: 423, Gone: 410, Silent: 408, WrongOffset: 409, OutputError: 507}

TAKING = (401, 403, 408, 413, 422, 507)
"""What may be said to whoever sends bytes."""


@contextmanager
def as_refusals(**headers: str) -> Iterator[None]:
    """Has what goes wrong with an upload answered with its own status.

    Args:
        headers: of the answer.

    Raises:
        HTTPException: as `refused` makes it.
    """
    try:
        yield
    except tuple(_STATUSES) as e:
        status = next(_STATUSES[kind] for kind in _STATUSES if isinstance(e, kind))
        if status == 408:  # the rest of the body is not waited for
            headers = headers | {"Connection": "close"}
        raise refused(status, str(e), **headers) from e
    except ClientDisconnect as e:
        raise refused(400, "the client went away", **headers) from e
