"""A page of a result's frames: work and memory go with the page, not with the video."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contanos import messages
from contanos.messages import Detection
from video_analysis.backend.results.stored import StoredResult
from video_analysis.results.layout import Layout
from video_analysis.results.table import SCHEMA, detections

MOST_FRAMES = 1000
MOST_DETECTIONS = 4096
"""After which a page ends, though never within a frame: a crowd fills it sooner."""

MOST_GROUPS = 32
"""Row groups that are searched for one page of a track."""

_COLUMNS = tuple(SCHEMA.names)
_ROWS_AT_ONCE = 256  # as Python's objects a row takes a hundred times the room


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frames are asked for; all that is given has to hold.

    Attributes:
        start: the first `frame_id`.
        limit: frames of a page.
        track: only frames with this track, and nobody else in them.
        from_seconds: presentation time of the first.
        to_seconds: the first presentation time that is not asked for any more.
    """

    start: int = 0
    limit: int = 100
    track: int | None = None
    from_seconds: float | None = None
    to_seconds: float | None = None


class _Page(NamedTuple):
    """Frames, the rows that they have, and where the next page starts."""

    frame_ids: Sequence[int]
    rows: list[pa.Table]
    next: int | None


async def frames_page(result: StoredResult, wanted: Wanted) -> bytes:
    """A page as JSON: `items`, records as they travel between stages, and `next`.

    Raises:
        OutputError: the result cannot be read.
    """
    begin, end = window(result.layout, wanted)
    if wanted.track is None:
        page = await _every_frame(result, begin, end, wanted.limit)
    else:
        page = await _frames_with(result, wanted.track, begin, end, wanted.limit)
    return await result.in_thread(_encoded, result.layout, page)


def window(layout: Layout, wanted: Wanted) -> tuple[int, int]:
    """The first frame that is asked for, and the one after the last, whatever the track."""
    first, count = layout.frames.first, len(layout.frames.pts)

    def at(seconds: float) -> int:
        return bisect_left(range(first, first + count), seconds, key=layout.seconds) + first

    begin, end = max(first, wanted.start), first + count
    if wanted.from_seconds is not None:
        begin = max(begin, at(wanted.from_seconds))
    if wanted.to_seconds is not None:
        end = min(end, at(wanted.to_seconds))
    return begin, max(begin, end)


async def _every_frame(result: StoredResult, begin: int, end: int, limit: int) -> _Page:
    layout, stop = result.layout, min(end, begin + limit)
    held: list[pa.Table] = []
    for group in layout.groups_of(begin, stop):
        if layout.first_frames[group] >= stop:  # the page was full before
            break
        rows = await result.rows(group, _COLUMNS)
        held.append(_within(rows, begin, stop))
        stop = min(stop, max(begin + 1, _frame_of_row(held, MOST_DETECTIONS, stop)))
    found = [_within(each, begin, stop) for each in held]
    return _Page(range(begin, stop), found, stop if stop < end else None)


async def _frames_with(result: StoredResult, track: int, begin: int, end: int, limit: int) -> _Page:
    """Numbers alone are read of row groups that turn out not to have the track."""
    layout = result.layout
    candidates = layout.with_track(layout.groups_of(begin, end), track)
    held: list[pa.Table] = []
    frame_ids: list[int] = []
    for group in candidates[:MOST_GROUPS]:
        if len(frame_ids) > limit:
            break
        numbers = await result.rows(group, ("frame_id", "track_id"))
        places = _places(numbers, track, begin, end)
        if len(places):
            held.append((await result.rows(group, _COLUMNS)).take(pa.array(places)))
            frame_ids += held[-1]["frame_id"].to_pylist()
    rest = candidates[MOST_GROUPS:]
    if len(frame_ids) > limit:
        return _Page(frame_ids[:limit], held, frame_ids[limit])
    searched = [int(layout.first_frames[rest[0]])] if rest else []
    following = [max(each, *(last + 1 for last in frame_ids[-1:]), begin) for each in searched]
    return _Page(frame_ids, held, following[0] if following else None)


def _places(rows: pa.Table, track: int, begin: int, end: int) -> NDArray[np.intp]:
    """Which rows are of the track, and of the frames."""
    frames = rows["frame_id"].to_numpy()
    tracks = rows["track_id"].fill_null(0).to_numpy()
    return np.flatnonzero((tracks == track) & (frames >= begin) & (frames < end))


def _within(rows: pa.Table, begin: int, end: int) -> pa.Table:
    """The rows of these frames."""
    first, after = np.searchsorted(rows["frame_id"].to_numpy(), [begin, end]).tolist()
    return rows.slice(first, after - first)


def _frame_of_row(tables: Sequence[pa.Table], row: int, otherwise: int) -> int:
    for table in tables:
        if row < table.num_rows:
            frame_id: int = table["frame_id"][row].as_py()
            return frame_id
        row -= table.num_rows
    return otherwise


def _encoded(layout: Layout, page: _Page) -> bytes:
    items = b",".join(_records(layout, page))
    return b'{"items":[%b],"next":%b}' % (items, msgspec.json.encode(page.next))


def _records(layout: Layout, page: _Page) -> Iterator[bytes]:
    rows = _detections(page.rows)
    row = next(rows, None)
    for frame_id in page.frame_ids:
        found = []
        while row is not None and row[0] == frame_id:
            found.append(row[1])
            row = next(rows, None)
        yield messages.encode(layout.frame(frame_id, found))


def _detections(tables: Sequence[pa.Table]) -> Iterator[tuple[int, Detection]]:
    for table in tables:
        for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
            yield from detections(batch)
