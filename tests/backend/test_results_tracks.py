"""Tracks in short, against a plain count."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contanos.messages import Detection, FrameResult
from tests.backend.clients import ADMIN, Server
from tests.backend.finished import FRAMES, TASKS, add_task, result_folder
from tests.unit.result_frames import frame
from video_analysis.results.reader import open_results
from video_analysis.results.table import to_table
from video_analysis.results.tracks import COLUMNS, TrackTotals

__all__ = ["result_folder"]

pytestmark = pytest.mark.anyio

sides = st.integers(-1000, 1000).map(lambda n: n / 4)  # exact in 32 bits
box = st.tuples(sides, sides, sides, sides)
found = st.builds(
    Detection,
    bbox=box,
    score=st.integers(0, 64).map(lambda n: n / 64),
    track_id=st.none() | st.integers(1, 5) | st.integers(1, 2**31 - 1),
    track_bbox=st.none() | box,
)
frames_of_people = st.lists(
    st.lists(found, max_size=5, unique_by=lambda each: each.track_id or object()), max_size=15
)


def plainly(frames: Sequence[FrameResult]) -> list[dict[str, Any]]:
    """One detection after another."""
    tracks: dict[int, dict[str, Any]] = {}
    last: dict[int, tuple[float, float]] = {}
    for each in frames:
        for detection in each.detections:
            track_id = detection.track_id
            if track_id is None:
                continue
            about = tracks.setdefault(
                track_id,
                {"track_id": track_id, "first_frame": each.frame_id, "detections": 0}
                | {"path": 0.0, "score": 0.0},
            )
            x1, _, x2, y2 = detection.track_bbox or detection.bbox
            feet = ((x1 + x2) / 2, y2)
            about["path"] += math.dist(feet, last.get(track_id, feet))
            last[track_id] = feet
            about["last_frame"] = each.frame_id
            about["detections"] += 1
            about["score"] += detection.score
    for about in tracks.values():
        about["score"] /= about["detections"]
    return [tracks[track_id] for track_id in sorted(tracks)]


@settings(max_examples=150, deadline=None)
@given(frames_of_people, st.integers(1, 7), st.integers(0, 6), st.integers(1, 9))
def test_tracks_add_up_however_the_rows_are_split(
    people: list[list[Detection]], rows: int, first: int, limit: int
) -> None:
    frames = [frame(number, each) for number, each in enumerate(people)]
    table = to_table(frames).select(COLUMNS)
    totals = TrackTotals()
    for start in range(0, table.num_rows, rows):
        totals.add(table.slice(start, rows))
    expected = plainly(frames)
    assert len(totals) == len(expected)
    told = [msgspec.structs.asdict(each) for each in totals.summaries(0, len(expected) + 1)]
    assert told == [pytest.approx(each) for each in expected]
    later = [each for each in told if each["track_id"] >= first]
    some = [msgspec.structs.asdict(each) for each in totals.summaries(first, limit)]
    assert some == later[:limit]


async def test_tracks_over_http(server: Server, result_folder: Path) -> None:
    task_id = await add_task(server.state.database, server.state.storage, ADMIN.name, result_folder)
    who = await server.log_in(ADMIN)
    answer = await server.client.get(f"{TASKS}/{task_id}/tracks", headers=who)
    assert answer.status_code == 200, answer.text
    results = list(open_results(result_folder))
    expected = plainly(results)
    assert expected
    assert max(each["detections"] for each in expected) > FRAMES / 2
    assert answer.json() == {
        "items": [
            {
                "track_id": each["track_id"],
                "first_frame": each["first_frame"],
                "last_frame": each["last_frame"],
                "first_seconds": results[each["first_frame"]].seconds,
                "last_seconds": results[each["last_frame"]].seconds,
                "detections": each["detections"],
                "path_pixels": pytest.approx(each["path"], abs=0.01),
                "mean_score": pytest.approx(each["score"], abs=1e-5),
            }
            for each in expected
        ],
        "next": None,
    }
    first = await server.client.get(f"{TASKS}/{task_id}/tracks?limit=1&start=1", headers=who)
    assert first.json()["items"] == answer.json()["items"][:1]
    after = {"start": expected[0]["track_id"] + 1}
    rest = await server.client.get(f"{TASKS}/{task_id}/tracks", params=after, headers=who)
    assert rest.json()["items"] == answer.json()["items"][1:]
