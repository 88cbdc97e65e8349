"""The tracks of a stored result, counted once, in one pass over the columns that it takes."""

import asyncio
from collections.abc import Sequence

import pyarrow as pa

from video_analysis.backend.results.stored import StoredResult
from video_analysis.results.tracks import COLUMNS, TrackTotals

_GROUPS_AT_ONCE = 8  # fetched side by side: an object store takes a while to answer


async def track_totals(result: StoredResult) -> TrackTotals:
    """All tracks of a result; kept with it, so that the next page of them costs nothing.

    Raises:
        OutputError: the result cannot be read.
    """
    async with result.counting:
        if result.totals is None:
            result.totals = await _count(result)
        return result.totals


async def _count(result: StoredResult) -> TrackTotals:
    totals = TrackTotals()
    groups = range(len(result.layout))
    for first in range(0, len(groups), _GROUPS_AT_ONCE):
        some = groups[first : first + _GROUPS_AT_ONCE]
        tables = await asyncio.gather(*(result.rows(group, COLUMNS) for group in some))
        await result.in_thread(_add, totals, tables)
    return totals


def _add(totals: TrackTotals, tables: Sequence[pa.Table]) -> None:
    for table in tables:
        totals.add(table)
