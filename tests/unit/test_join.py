import random

from hypothesis import given
from hypothesis import strategies as st

from contanos.bus import TopicPartition
from contanos.stage.join import FrameJoin, Origin

RAW, RESULTS = TopicPartition("raw", 0), TopicPartition("results", 0)
LOGS = (RAW, RESULTS)


def drain(join: FrameJoin) -> list[int]:
    frames = []
    while joined := join.pop():
        assert joined.values == tuple(f"{log.topic} {joined.frame_id}" for log in LOGS)
        frames.append(joined.frame_id)
    return frames


def feed(join: FrameJoin, index: int, frame_id: int, offset: int) -> None:
    join.add(index, frame_id, f"{LOGS[index].topic} {frame_id}", Origin(LOGS[index], offset, 0.0))


@given(st.integers(1, 30), st.randoms(use_true_random=False), st.integers(0, 10))
def test_any_arrival_with_any_repeats_gives_every_frame_once_in_order(
    frames: int, order: random.Random, repeats: int
) -> None:
    arrivals = [(index, i) for index in (0, 1) for i in range(frames)]
    arrivals += order.choices(arrivals, k=repeats)
    order.shuffle(arrivals)
    join = FrameJoin(2)
    out = []
    for index, frame_id in arrivals:
        feed(join, index, frame_id, frame_id)
        out += drain(join)
    assert out == list(range(frames))
    assert join.repeats == repeats
    assert join.waiting == 0


def test_a_frame_waits_for_its_counterpart() -> None:
    join = FrameJoin(2)
    feed(join, 0, 0, 0)
    assert join.pop() is None
    feed(join, 1, 0, 7)
    joined = join.pop()
    assert joined is not None
    assert joined.origins == (Origin(RAW, 0, 0.0), Origin(RESULTS, 7, 0.0))


@given(st.integers(0, 20), st.integers(0, 4), st.integers(0, 4), st.integers(1, 10))
def test_a_reader_that_comes_back_goes_on_where_it_was(
    committed: int, raw_repeats: int, result_repeats: int, more: int
) -> None:
    """After a crash upstream each log may repeat frames before the committed one."""
    join = FrameJoin(2, committed)
    for index, repeats in enumerate((raw_repeats, result_repeats)):
        for frame_id in range(max(0, committed - repeats), committed + more):
            feed(join, index, frame_id, frame_id)
    assert drain(join) == list(range(committed, committed + more))


@given(st.lists(st.integers(0, 60), unique=True), st.integers(0, 60), st.integers(0, 5))
def test_a_share_of_the_frames_comes_in_its_own_order(
    share: list[int], start: int, repeated: int
) -> None:
    join = FrameJoin(2, start, contiguous=False)
    mine = sorted(share)
    for index in (1, 0):
        for frame_id in [*mine, *mine[:repeated]]:
            feed(join, index, frame_id, frame_id)
    assert drain(join) == [frame_id for frame_id in mine if frame_id >= start]


def test_a_missing_frame_is_a_gap() -> None:
    join = FrameJoin(1)
    for frame_id in (1, 2):
        join.add(0, frame_id, None, Origin(RESULTS, frame_id, 0.0))
    assert join.gap
    join.add(0, 0, None, Origin(RESULTS, 3, 0.0))
    assert not join.gap
