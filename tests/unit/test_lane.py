"""A lane takes the frames of its task, and no others, out of groups that hold more."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contanos.bus import Record, TopicPartition
from contanos.messages import EndOfStream
from contanos.stage.contract import Task
from contanos.stage.graph import Node
from contanos.stage.lane import Lane
from contanos.stage.mark import Mark
from contanos.testing.videos import make_video, read_number
from contanos.video.codec import FrameCodec
from contanos.video.group import FrameGroup

FRAMES = 30
SOURCE = TopicPartition("raw_frames_a", 0)
NODE = Node("look", "look-test", None)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return make_video(path, FRAMES, options={"x264-params": "keyint=12:bframes=3:scenecut=0"})


def groups(video: Path, first: int, stop: int) -> list[FrameGroup]:
    codec = FrameCodec.parse("source")
    with codec.open(video) as source:
        return list(codec.groups(source, first, stop))


def records(values: list[object]) -> Iterator[Record]:
    for offset, value in zip(count(), values):
        key = value.frame_id if isinstance(value, FrameGroup) else FRAMES
        yield Record(SOURCE.topic, SOURCE.partition, offset, key, value, 0.0)


def drained(lane: Lane) -> list[int]:
    """The numbers of the frames that the lane hands out, as the pictures show them."""
    shown = []
    while slot := lane.take():
        assert slot.item.frame is not None
        assert slot.item.frame.frame_id == slot.item.result.frame_id
        shown.append(read_number(slot.item.frame.y))
        slot.result = slot.item.result
        lane.settle()
    return shown


@settings(max_examples=30, deadline=None)
@given(st.integers(0, FRAMES - 1), st.integers(1, FRAMES), st.integers(0, 8))
def test_a_range_in_the_middle_of_groups(video: Path, first: int, length: int, done: int) -> None:
    stop = min(FRAMES, first + length)
    done = min(done, stop - first)
    begun = Mark(next_frame_id=first + done, done=done) if done else Mark()
    lane = Lane(Task("a", 64, 48, 25.0, first_frame=first), NODE, 0, begun)
    end = EndOfStream(task_id="a", frames=stop - first, reason="completed")
    for record in records([*groups(video, first, stop), end]):
        lane.add(record)
    assert drained(lane) == [*range(first + done, stop)]
    assert lane.repeats == done  # only what the task has seen already comes again
    assert lane.end() == end
    lane.finish(end)
    frames = stop - first
    assert lane.mark == Mark(stop, frames, end="completed", frames=frames)
    assert lane.offsets == {SOURCE: len(groups(video, first, stop)) + 1}
