"""Lists in pages, the newest first, each page beginning after the last row of the one before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import Query
from sqlalchemy import Select, and_, or_

from contanos.errors import InputError

Limit = Annotated[int, Query(ge=1, le=200, description="Rows of a page, at most.", examples=[50])]
After = Annotated[
    str | None,
    Query(
        max_length=80,
        description="`next` of the page before; none for the first.",
        examples=["2026-11-24T05:00:00+00:00~5e884898da28047151d0e56f"],
    ),
]


class Row(Protocol):
    """What is listed."""

    id: Any
    created: Any


def page(query: Select[Any], table: type[Row], after: str | None, limit: int) -> Select[Any]:
    """The rows of one page, and one more if there are any after it.

    Args:
        query: selects rows of the table.
        table: with columns `created` and `id`.
        after: from `next_after`; None for the first page.
        limit: rows of a page.

    Raises:
        InputError: `after` is none of ours.
    """
    if after is not None:
        created, row_id = _read(after)
        same = and_(table.created == created, table.id < row_id)
        query = query.where(or_(table.created < created, same))
    return query.order_by(table.created.desc(), table.id.desc()).limit(limit + 1)


def next_after(rows: Sequence[Any], limit: int) -> str | None:
    """What the next page begins after; None on the last."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return f"{last.created.isoformat()}~{last.id}"


def _read(after: str) -> tuple[datetime, str]:
    moment, _, row_id = after.partition("~")
    try:
        found = datetime.fromisoformat(moment)
    except ValueError as e:
        raise InputError("after: give `next` of the page before") from e
    if found.tzinfo is None or "\0" in row_id:
        raise InputError("after: give `next` of the page before")
    return found, row_id
