"""Pages of frames: what they hold, and that no more is read than they need."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contanos import messages
from contanos.messages import Detection, FrameResult
from tests.backend.clients import ADA, ADMIN, Server
from tests.backend.finished import FRAMES, TASKS, add_task, result_folder
from tests.unit.result_frames import ABOUT, frame, person
from video_analysis.backend.results import frames as pages
from video_analysis.backend.results import stored
from video_analysis.backend.results.frames import Wanted, frames_page
from video_analysis.backend.results.stored import Readings
from video_analysis.backend.storage.folder import FolderStorage
from video_analysis.results import writer
from video_analysis.results.reader import open_results
from video_analysis.results.writer import ROWS_PER_GROUP, ResultsWriter

__all__ = ["result_folder"]

pytestmark = pytest.mark.anyio


class Counting(FolderStorage):
    """A storage that notes which bytes are read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.spans: list[tuple[int, int]] = []

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        assert end is not None
        self.spans.append((start, end))
        async for piece in super().read(name, start, end):
            yield piece


def write(folder: Path, frames: list[FrameResult], rows: int = ROWS_PER_GROUP) -> Path:
    """As the result of the task `task`, in a storage at that folder."""
    out = folder / "results" / "task"
    with patch.object(writer, "ROWS_PER_GROUP", rows):
        made = ResultsWriter(out, ABOUT, first=frames[0].frame_id if frames else 0)
        for each in frames:
            made.add(each)
        path = made.finish()
    made.discard()
    return path


def plainly(frames: list[FrameResult], wanted: Wanted) -> list[FrameResult]:
    """What is asked for, found the slow way."""
    found = []
    for each in frames:
        if wanted.from_seconds is not None and each.seconds < wanted.from_seconds:
            continue
        if wanted.to_seconds is not None and each.seconds >= wanted.to_seconds:
            continue
        only = tuple(d for d in each.detections if wanted.track in (None, d.track_id))
        if each.frame_id >= wanted.start and (only or wanted.track is None):
            found.append(msgspec.structs.replace(each, detections=only))
    return found


async def walk(storage: FolderStorage, size: int, wanted: Wanted) -> list[list[FrameResult]]:
    """All pages."""
    found: list[list[FrameResult]] = []
    start: int | None = wanted.start
    async with Readings(storage).reading("task", size) as result:
        while start is not None:
            at = Wanted(start, wanted.limit, wanted.track, wanted.from_seconds, wanted.to_seconds)
            told = msgspec.json.decode(await frames_page(result, at))
            items = [messages.decode(msgspec.json.encode(each)) for each in told["items"]]
            found.append([each for each in items if isinstance(each, FrameResult)])
            assert len(found[-1]) <= wanted.limit
            assert told["next"] is None or told["next"] > start or not items
            start = told["next"]
            assert len(found) < 300
    return found


seconds = st.none() | st.integers(-2, 14).map(lambda n: n / 10) | st.floats(-1, 2)
rows_of_frame = st.lists(
    st.none() | st.integers(1, 5), max_size=4, unique_by=lambda t: t or object()
)


@settings(max_examples=60, deadline=None)
@given(
    content=st.lists(rows_of_frame, max_size=14),
    first=st.sampled_from([0, 3]),
    rows=st.integers(1, 6),
    most=st.integers(1, 6),
    groups=st.integers(1, 3),
    start=st.integers(0, 16),
    limit=st.integers(1, 7),
    track=st.none() | st.integers(1, 6),
    from_seconds=seconds,
    to_seconds=seconds,
)
def test_pages_hold_what_was_asked_for_however_the_file_is_split(
    content: list[list[int | None]], first: int, rows: int, most: int, groups: int, **wanted: Any
) -> None:
    frames = [
        frame(i, [person(track, float(i), posed=i % 2 > 0) for track in tracks], pts=3000 * i)
        for i, tracks in enumerate(content, first)
    ]
    asked = Wanted(**wanted)
    limits = {"MOST_DETECTIONS": most, "MOST_GROUPS": groups}
    with TemporaryDirectory() as folder, patch.multiple(pages, **limits):
        path = write(Path(folder), frames, rows)
        found = asyncio.run(walk(FolderStorage(Path(folder)), path.stat().st_size, asked))
        assert [each for page in found for each in page] == plainly(list(open_results(path)), asked)
        for page in found:
            held = [len(each.detections) for each in page]
            assert sum(held) <= most or len(held) == 1 or asked.track is not None


async def test_only_the_row_groups_of_the_page_are_read(tmp_path: Path) -> None:
    """A page near the end of a video of an hour and a half of five people."""
    some = [person(k, 7.0 * k, posed=False) for k in range(1, 6)]
    frames = [frame(i, some) for i in range(20_000)]
    path = write(tmp_path, frames)
    size = path.stat().st_size
    storage = Counting(tmp_path)
    readings = Readings(storage)
    async with readings.reading("task", size) as result:
        layout, footer = result.layout, storage.spans
        assert len(layout) == 25
        assert footer[0][1] == size
        storage.spans = []
        at = 5 * 17_000 // ROWS_PER_GROUP
        await frames_page(result, Wanted(start=17_000, limit=10))
        assert storage.spans == layout.spans(at, layout_columns())
        storage.spans = []
        await frames_page(result, Wanted(from_seconds=17_000 * 1001 / 30000, limit=10))
        assert storage.spans == layout.spans(at, layout_columns())
        storage.spans = []
        await frames_page(result, Wanted(start=19_999))
        assert storage.spans == layout.spans(24, layout_columns())
    storage.spans = []
    async with readings.reading("task", size) as again:
        assert again is result
        await frames_page(again, Wanted(start=20_000))
    assert storage.spans == []


def layout_columns() -> tuple[str, ...]:
    return ("task_id", "frame_id", "pts", "track_id", "bbox", "score", "keypoints", "track_bbox")


async def test_of_a_track_only_row_groups_that_can_hold_it_are_read(tmp_path: Path) -> None:
    """Tracks 1, 2, 3 and so on, each for a while, beside one that stays."""
    frames = [frame(i, [person(1), person(2 + i // 1000)]) for i in range(12_000)]
    path = write(tmp_path, frames)
    storage = Counting(tmp_path)
    async with Readings(storage).reading("task", path.stat().st_size) as result:
        layout = result.layout
        told = msgspec.json.decode(await frames_page(result, Wanted(track=2 + 9, limit=5)))
        assert [each["frame_id"] for each in told["items"]] == [*range(9000, 9005)]
        assert [len(each["detections"]) for each in told["items"]] == [1] * 5
        assert told["next"] == 9005
        whole = layout.spans(4, layout_columns())
        assert storage.spans[1:] == [*layout.spans(4, ("frame_id", "track_id")), *whole]
        storage.spans = []
        told = msgspec.json.decode(await frames_page(result, Wanted(track=99)))
        assert (told, storage.spans) == ({"items": [], "next": None}, [])


async def test_a_crowd_ends_a_page_within_its_frames(tmp_path: Path) -> None:
    crowd = [person(k, posed=False) for k in range(1, 1501)]
    path = write(tmp_path, [frame(i, crowd) for i in range(5)])
    found = await walk(FolderStorage(tmp_path), path.stat().st_size, Wanted())
    assert [[each.frame_id for each in page] for page in found] == [[0, 1], [2, 3], [4]]


async def test_results_are_forgotten_in_the_order_in_which_they_were_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_ROOM", 100)  # bytes, and each of these takes 8
    path = write(tmp_path, [frame(0)])
    storage = Counting(tmp_path)
    readings, size = Readings(storage), path.stat().st_size
    for each in range(20):
        (tmp_path / "results" / f"t{each}").mkdir()
        (tmp_path / "results" / f"t{each}" / "results.parquet").write_bytes(path.read_bytes())
        for task_id in ("task", f"t{each}"):
            async with readings.reading(task_id, size):
                pass
    assert len(storage.spans) == 21
    async with readings.reading("t0", size):
        pass
    assert len(storage.spans) == 22
    async with readings.reading("t19", size):
        pass
    assert len(storage.spans) == 22


async def test_frames_over_http(server: Server, result_folder: Path) -> None:
    task_id = await add_task(server.state.database, server.state.storage, ADMIN.name, result_folder)
    who = await server.log_in(ADMIN)
    expected = list(open_results(result_folder))

    async def ask(**query: object) -> tuple[list[FrameResult], int | None]:
        answer = await server.client.get(
            f"{TASKS}/{task_id}/frames", params={k: str(v) for k, v in query.items()}, headers=who
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        items = [messages.decode(msgspec.json.encode(each)) for each in answer.json()["items"]]
        return [each for each in items if isinstance(each, FrameResult)], answer.json()["next"]

    assert await ask() == (expected, None)
    assert await ask(start=3, limit=7) == (expected[3:10], 10)
    between = {"from_seconds": expected[5].seconds, "to_seconds": expected[9].seconds}
    assert await ask(**between) == (expected[5:9], None)
    assert await ask(start=7, limit=1, **between) == (expected[7:8], 8)
    track = next(d.track_id for each in expected for d in each.detections if d.track_id)
    assert await ask(track=track) == (plainly(expected, Wanted(track=track)), None)
    assert await ask(start=FRAMES) == ([], None)


@pytest.mark.parametrize(
    "query",
    [
        *("start=-1", "start=1e3", "limit=0", "limit=1001", "track=0", f"track={2**31}"),
        *("from_seconds=nan", "to_seconds=inf", "from_seconds=x", f"start={2**64}"),
    ],
)
async def test_what_cannot_be_meant_is_refused(server: Server, query: str) -> None:
    task_id = await add_task(server.state.database, server.state.storage, ADMIN.name)
    who = await server.log_in(ADMIN)
    answer = await server.client.get(f"{TASKS}/{task_id}/frames?{query}", headers=who)
    assert answer.status_code == 422


async def test_a_damaged_result_is_our_trouble(
    server: Server, result_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    data = (result_folder / "results.parquet").read_bytes()
    who = await server.log_in(ADMIN)
    for broken in (data[:-9], b"", b"PAR1", b"\0" * 4096 + data[4096:]):
        (folder / "results.parquet").write_bytes(broken)
        task_id = await add_task(server.state.database, server.state.storage, ADMIN.name, folder)
        answer = await server.client.get(f"{TASKS}/{task_id}/frames", headers=who)
        assert answer.status_code == 503
        assert "results" not in answer.json()["detail"]


async def test_frames_are_their_owners(server: Server, result_folder: Path) -> None:
    await server.let_in(ADA)
    task_id = await add_task(server.state.database, server.state.storage, ADMIN.name, result_folder)
    ada = await server.log_in(ADA)
    for path in ("frames", "tracks", "export/csv", "files/summary.json"):
        answer = await server.client.get(f"{TASKS}/{task_id}/{path}", headers=ada)
        assert answer.status_code == 404
        assert (await server.client.get(f"{TASKS}/{task_id}/{path}")).status_code == 401


def test_the_example_is_a_record() -> None:
    from video_analysis.backend.routes.results import _RECORD

    assert isinstance(messages.decode(msgspec.json.encode(_RECORD)), FrameResult)
    assert isinstance(_RECORD["detections"], list)
    assert set(_RECORD["detections"][0]) == set(Detection.__struct_fields__) - {"extra"}
