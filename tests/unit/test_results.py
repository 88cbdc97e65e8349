"""What goes into a result comes out of it, however it was split and wherever it was interrupted."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contanos.errors import InputError, OutputError
from contanos.messages import Detection, FrameResult
from tests.unit.result_frames import ABOUT, frame, person
from video_analysis.results.index import FrameIndexWriter, from_keys
from video_analysis.results.reader import Track, open_results
from video_analysis.results.table import SCHEMA
from video_analysis.results.writer import ResultsWriter


def write(
    folder: Path, frames: Sequence[FrameResult], frames_per_part: int = 4, first: int = 0
) -> Path:
    writer = ResultsWriter(folder, ABOUT, frames_per_part, first=first)
    for each in frames:
        writer.add(each)
    path = writer.finish()
    writer.discard()
    return path


def narrowed(frames: Sequence[FrameResult]) -> list[object]:
    """The frames with every coordinate as the 32-bit number that is stored."""

    def walk(value: object) -> object:
        if isinstance(value, float):
            return np.float32(value)
        if isinstance(value, dict):
            return {key: walk(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return tuple(walk(each) for each in value)
        return value

    return [walk(msgspec.to_builtins(each)) for each in frames]


FRAMES_IN_TEN_HOURS = 36000 * 30

float32 = st.floats(-1e4, 1e4, width=32)
scores = st.floats(0, 1)
keypoint = st.tuples(float32, float32, scores)
detections = st.builds(
    Detection,
    bbox=st.tuples(float32, float32, float32, float32),
    score=scores,
    keypoints=st.none() | st.lists(keypoint, max_size=3).map(tuple),
    track_id=st.none() | st.integers(1, 2**31 - 1),
)
contents = st.lists(
    st.tuples(
        st.lists(detections, max_size=3),
        st.integers(-(2**40), 2**40),
        st.sampled_from(["", "bad\n"]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(
    contents,
    st.integers(0, 20),
    st.integers(1, 7),
    st.integers(0, 12),
    st.integers(1, 7),
    st.booleans(),
)
def test_a_result_is_what_went_in_for_any_split_and_any_crash(
    content: list[tuple[list[Detection], int, str]],
    first_frame: int,
    frames_per_part: int,
    crash_after: int,
    frames_per_part_after: int,
    asked: bool,
) -> None:
    frames = [
        frame(i, [] if bad else found, pts, bad)
        for i, (found, pts, bad) in enumerate(content, first_frame)
    ]
    with TemporaryDirectory() as name:
        crashed, undisturbed = Path(name, "crashed"), Path(name, "undisturbed")
        first = ResultsWriter(crashed, ABOUT, frames_per_part, first=first_frame)
        for each in frames[:crash_after]:
            first.add(each)
        if asked:
            first.checkpoint()
        durable = first.durable
        second = ResultsWriter(crashed, ABOUT, frames_per_part_after, first=first_frame)
        assert second.next_frame == first_frame + durable
        for each in frames:
            second.add(each)
        path = second.finish()
        assert second.finish() == path  # a crash before the end was committed asks for it again
        second.discard()
        assert narrowed(list(open_results(path))) == narrowed(frames)
        again = write(undisturbed, frames, first=first_frame)
        assert path.read_bytes() == again.read_bytes()
        assert os.listdir(crashed) == ["results.parquet"]


def test_a_result_that_begins_later_has_its_first_frame_next(tmp_path: Path) -> None:
    writer = ResultsWriter(tmp_path, ABOUT, first=7)
    writer.add(frame(6))  # before the range: as if held already
    with pytest.raises(OutputError, match="frame 8 came where 7 was due"):
        writer.add(frame(8))
    writer.add(frame(7, [person(1)]))
    results = open_results(writer.finish())
    assert (results.first, len(results)) == (7, 1)
    assert [each.frame_id for each in results] == [7]


def test_everything_in_a_finished_part_survives_a_kill(tmp_path: Path) -> None:
    frames = [frame(i, [person(1, float(i))]) for i in range(10)]
    program = f"""
        import os, signal
        from pathlib import Path
        from tests.unit.result_frames import ABOUT, frame, person
        from video_analysis.results.writer import ResultsWriter
        writer = ResultsWriter(Path({str(tmp_path)!r}), ABOUT, 4)
        for i in range(10):
            writer.add(frame(i, [person(1, float(i))]))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "results.parquet").exists()
    writer = ResultsWriter(tmp_path, ABOUT, 4)
    assert writer.next_frame == 8
    for each in frames[8:]:
        writer.add(each)
    assert narrowed(list(open_results(writer.finish()))) == narrowed(frames)


def test_a_full_disk_leaves_no_result_and_says_so(tmp_path: Path) -> None:
    program = f"""
        import resource
        from pathlib import Path
        from contanos.errors import OutputError
        from tests.unit.result_frames import ABOUT, frame, person
        from video_analysis.results.writer import ResultsWriter
        writer = ResultsWriter(Path({str(tmp_path)!r}), ABOUT, 30)
        for i in range(60):
            writer.add(frame(i, [person(1, i * 1.7)]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
        try:
            writer.finish()
        except OutputError as e:
            print(e)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "could not be written" in done.stdout
    assert "make room" in done.stdout
    assert os.listdir(tmp_path) == ["results.parts"]
    assert len(open_results(ResultsWriter(tmp_path, ABOUT).finish())) == 60


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="could not be written"):
        ResultsWriter(tmp_path / "file" / "out", ABOUT)


def test_an_old_result_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    before = write(tmp_path, [frame(0)]).read_bytes()
    writer = ResultsWriter(tmp_path, ABOUT, 1)
    writer.add(frame(0, [person(1)]))
    (part,) = (tmp_path / "results.parts").iterdir()
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(OutputError, match="damaged"):
        writer.finish()
    assert (tmp_path / "results.parquet").read_bytes() == before


def test_frames_must_come_in_order_and_belong_to_the_task(tmp_path: Path) -> None:
    writer = ResultsWriter(tmp_path, ABOUT)
    with pytest.raises(OutputError, match="frame 1 came where 0 was due"):
        writer.add(frame(1))
    other = msgspec.structs.replace(frame(0), width=100)
    with pytest.raises(OutputError, match="width 100, but this result has 640"):
        writer.add(other)


def test_parts_of_other_settings_are_refused(tmp_path: Path) -> None:
    writer = ResultsWriter(tmp_path, ABOUT, 1)
    writer.add(frame(0))
    with pytest.raises(OutputError, match="another task or settings"):
        ResultsWriter(tmp_path, msgspec.structs.replace(ABOUT, settings={}))


def test_row_groups_do_not_follow_the_parts(tmp_path: Path) -> None:
    frames = [frame(i, [person(k, posed=False) for k in range(1, 101)]) for i in range(200)]
    path = write(tmp_path, frames, frames_per_part=7)
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [4096, 4096, 4096, 4096, 200 * 100 - 4 * 4096]
        assert file.schema_arrow.equals(SCHEMA)


def test_metadata_comes_back(tmp_path: Path) -> None:
    results = open_results(write(tmp_path, [frame(0), frame(1, error="no decoder")]).parent)
    assert results.metadata == msgspec.structs.replace(
        ABOUT, settings={"det_score": 0.1, "links": [1, 2]}
    )
    assert results.failed == {1: "no decoder"}


def test_numbers_read_as_the_shortest_that_name_them(tmp_path: Path) -> None:
    (read,) = open_results(write(tmp_path, [frame(0, [person(1, 0.3)])]))
    assert read.detections[0].score == 0.92
    assert read.detections[0].keypoints is not None
    assert read.detections[0].keypoints[1] == (0.4, 51.3, 0.9)


def test_tracks(tmp_path: Path) -> None:
    frames = [frame(i, [person(3)] * (i != 1) + [person(1)] * (i > 1)) for i in range(4)]
    frames.append(frame(4, [person(None)]))
    assert open_results(write(tmp_path, frames)).tracks() == [
        Track(track_id=1, first_frame=2, last_frame=3, detections=2),
        Track(track_id=3, first_frame=0, last_frame=3, detections=3),
    ]


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no .*results\.parquet"):
        open_results(tmp_path)
    (tmp_path / "results.parquet").write_text("text")
    with pytest.raises(InputError, match="cannot be read"):
        open_results(tmp_path)
    pq.write_table(SCHEMA.empty_table(), tmp_path / "results.parquet")
    with pytest.raises(InputError, match="not a result"):
        open_results(tmp_path)


def test_ten_hours_of_frames_cost_little() -> None:
    writer = FrameIndexWriter(0)
    for i in range(FRAMES_IN_TEN_HOURS):
        writer.add(i * 1001, None)
    keys = writer.to_keys()
    assert sum(map(len, keys.values())) < 40_000
    assert from_keys(keys).pts[-1] == (FRAMES_IN_TEN_HOURS - 1) * 1001
