"""The summary says complete only when it is."""

import json
from pathlib import Path

import msgspec
import pytest

from video_analysis.results.metadata import ModelUsed
from video_analysis.results.summary import (
    People,
    Proof,
    Source,
    Summary,
    read_summary,
    render,
    write_summary,
)

PROOF = Proof(read=230, published=230, detected=230, posed=230, tracked=230, annotated=230)
SUMMARY = Summary(
    task_id="task",
    version="1.0",
    source=Source(path="walk.mp4", bytes=1000, width=1768, height=994, frames_estimate=230),
    reason="completed",
    proof=PROOF,
    people=People(tracks=2, detections=400, posed=390, most_at_once=2),
    wall_seconds=10.0,
    stage_seconds={"yolox": 4.6},
    models=(ModelUsed(name="yolox_tiny", sha256="ab" * 32, runtime="openvino", precision="bf16"),),
)


def test_it_comes_back_and_carries_what_follows_from_it(tmp_path: Path) -> None:
    path = write_summary(SUMMARY, tmp_path)
    assert read_summary(tmp_path) == SUMMARY
    fields = json.loads(path.read_text())
    assert fields["schema"] == 1
    assert fields["fps"] == 23.0
    assert fields["proof"]["complete"] is True
    assert [each.name for each in tmp_path.iterdir()] == ["summary.json"]


def test_without_a_video_it_can_be_complete() -> None:
    assert msgspec.structs.replace(PROOF, annotated=None).complete


def test_hidden_faces_are_counted_where_they_were_asked_for() -> None:
    assert msgspec.structs.replace(PROOF, blurred=230).complete
    assert not msgspec.structs.replace(PROOF, blurred=229).complete


@pytest.mark.parametrize(
    "changed", [{"tracked": 229}, {"annotated": 229}, {"read": 231}, {"dropped": 1}]
)
def test_a_frame_that_is_missing_anywhere_is_incomplete(changed: dict[str, int]) -> None:
    assert PROOF.complete
    assert not msgspec.structs.replace(PROOF, **changed).complete


@pytest.mark.parametrize("reason", ["cancelled", "failed"])
def test_a_task_that_did_not_end_by_itself_is_incomplete(reason: str, tmp_path: Path) -> None:
    summary = msgspec.convert(msgspec.to_builtins(SUMMARY) | {"reason": reason}, Summary)
    assert json.loads(write_summary(summary, tmp_path).read_text())["proof"]["complete"] is False
    assert "INCOMPLETE" in render(summary)


def test_render_says_what_a_person_wants_to_know() -> None:
    text = render(SUMMARY)
    for fact in ("Complete: 230 frames in, 230 frames out", "2 tracks", "23.0 frames a second"):
        assert fact in text
    assert "yolox_tiny abababababab on openvino in bf16" in text
    assert "20.00 ms a frame" in text
    cut = msgspec.structs.replace(SUMMARY.source, truncated="half of it is missing")
    assert "TRUNCATED: half" in render(msgspec.structs.replace(SUMMARY, source=cut))
