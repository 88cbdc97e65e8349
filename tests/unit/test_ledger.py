from hypothesis import given
from hypothesis import strategies as st

from contanos.bus import Record, TopicPartition
from contanos.stage.ledger import Ledger

SOURCE = TopicPartition("raw", 0)


def record(offset: int) -> Record:
    return Record("raw", 0, offset, offset, None, 0.0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_nothing_in_work_is_ever_committed(frames: list[int], order) -> None:  # type: ignore[no-untyped-def]
    ledger = Ledger()
    for offset, count in enumerate(frames):
        ledger.take(record(offset), count)
    in_work = [offset for offset, count in enumerate(frames) for _ in range(count)]
    order.shuffle(in_work)
    while in_work:
        assert ledger.offsets == {SOURCE: min(in_work)}
        ledger.done(SOURCE, in_work.pop())
    assert ledger.offsets == {SOURCE: len(frames)}


def test_a_reader_that_took_nothing_has_nothing_to_commit() -> None:
    assert Ledger().offsets == {}
