"""Segments: whole or absent, and the same bytes whatever happened before them."""

import os
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from contanos.errors import OutputError
from contanos.testing.videos import make_video, numbered, read_number
from contanos.video.encoder import EncoderSettings, PictureFormat
from contanos.video.frame import Frame, Matrix
from contanos.video.pictures import views
from contanos.video.segments import SegmentWriter, finished_segments
from contanos.video.source import VideoSource

SIZE = (64, 48)
FORMAT = PictureFormat(*SIZE, time_base=Fraction(1, 25), rate=Fraction(25))
PER_SEGMENT = 4


def a_frame(number: int, size: tuple[int, int] = SIZE, base: Fraction = Fraction(1, 25)) -> Frame:
    """A grey frame that shows its number."""
    luma = np.ascontiguousarray(numbered(number, size)[..., 0])
    half = ((size[1] + 1) // 2, (size[0] + 1) // 2)
    u, v = (np.full(half, 128, np.uint8) for _ in range(2))
    return Frame(number, number, base, luma, u, v, Matrix.BT709)


def write(directory: Path, first: int, last: int, next_segment: int = 0) -> list[Path]:
    with SegmentWriter(
        directory, FORMAT, frames_per_segment=PER_SEGMENT, next_segment=next_segment
    ) as writer:
        for number in range(first, last):
            writer.write(writer.canvas(a_frame(number)))
    return finished_segments(directory)


def test_frames_are_split_into_segments(tmp_path: Path) -> None:
    segments = write(tmp_path, 0, 10)
    assert [path.name for path in segments] == [f"segment-{n:06d}.nut" for n in range(3)]
    shown = []
    for path in segments:
        with av.open(str(path)) as segment:
            frames = list(segment.decode(video=0))
            assert frames[0].key_frame
            shown.append([read_number(views(frame)[0]) for frame in frames])
    assert shown == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_write_says_which_segment_it_completed(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path, FORMAT, frames_per_segment=2) as writer:
        done = [writer.write(writer.canvas(a_frame(number))) for number in range(5)]
        assert [None if path is None else path.name for path in done] == [
            None,
            "segment-000000.nut",
            None,
            "segment-000001.nut",
            None,
        ]
        assert writer.finish_segment() == tmp_path / "segment-000002.nut"
        assert writer.finish_segment() is None


@pytest.mark.parametrize("threads", [1, 3])
def test_a_segment_depends_on_its_frames_alone(threads: int, tmp_path: Path) -> None:
    settings = EncoderSettings(threads=threads)
    paths = []
    for name, start, segment in (("whole", 0, 0), ("resumed", 8, 2)):
        directory = tmp_path / name
        with SegmentWriter(
            directory, FORMAT, settings, frames_per_segment=PER_SEGMENT, next_segment=segment
        ) as writer:
            for number in range(start, 14):
                writer.write(writer.canvas(a_frame(number)))
        paths.append(directory)
    for name in ("segment-000002.nut", "segment-000003.nut"):
        assert (paths[0] / name).read_bytes() == (paths[1] / name).read_bytes()


CHILD = """
    import sys, time
    from pathlib import Path
    from contanos.video.segments import SegmentWriter
    from tests.unit.test_video_segments import FORMAT, PER_SEGMENT, a_frame

    writer = SegmentWriter(Path(sys.argv[1]), FORMAT, frames_per_segment=PER_SEGMENT)
    for number in range(10):
        writer.write(writer.canvas(a_frame(number)))
    print("half way", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_loses_no_finished_segment(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(killed)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half way\n"
        child.send_signal(signal.SIGKILL)
    left = finished_segments(killed)
    assert len(left) == 2
    write(killed, len(left) * PER_SEGMENT, 14, next_segment=len(left))
    assert [p.read_bytes() for p in finished_segments(killed)] == [
        p.read_bytes() for p in write(whole, 0, 14)
    ]
    assert not list(killed.glob(".*"))


def test_an_error_leaves_the_unfinished_segment_out(tmp_path: Path) -> None:
    def fail_after_six() -> None:
        with SegmentWriter(tmp_path, FORMAT, frames_per_segment=PER_SEGMENT) as writer:
            for number in range(6):
                writer.write(writer.canvas(a_frame(number)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_six()
    assert len(finished_segments(tmp_path)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_finished_segments_end_at_a_gap(tmp_path: Path) -> None:
    write(tmp_path, 0, 16)
    (tmp_path / "segment-000002.nut").unlink()
    (tmp_path / "other.txt").touch()
    assert [path.name for path in finished_segments(tmp_path)] == [
        "segment-000000.nut",
        "segment-000001.nut",
    ]
    assert finished_segments(tmp_path / "nowhere") == []


def test_a_canvas_is_a_copy_padded_to_even_size(tmp_path: Path) -> None:
    frame = a_frame(5, (63, 47))
    canvas = SegmentWriter(tmp_path, FORMAT).canvas(frame)
    assert canvas.y.shape == (48, 64)
    assert canvas.u.shape == canvas.v.shape == (24, 32)
    assert np.array_equal(canvas.y[:47, :63], frame.y)
    assert np.array_equal(canvas.y[47], canvas.y[46])
    assert np.array_equal(canvas.y[:, 63], canvas.y[:, 62])
    before = frame.y.copy()
    canvas.y[:] = 200
    assert np.array_equal(frame.y, before)


def test_what_is_drawn_on_a_canvas_is_encoded(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path, FORMAT) as writer:
        canvas = writer.canvas(a_frame(0))
        canvas.y[:] = numbered(77, SIZE)[..., 0]
        writer.write(canvas)
    with VideoSource(tmp_path / "segment-000000.nut") as source:
        frame = next(iter(source))
        assert isinstance(frame, Frame)
        assert read_number(frame.y) == 77


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    script = """
        import resource, signal, sys
        from pathlib import Path
        from contanos.errors import OutputError
        from contanos.video.segments import SegmentWriter
        from tests.unit.test_video_segments import FORMAT, a_frame

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with SegmentWriter(Path(sys.argv[1]), FORMAT) as writer:
                for number in range(200):
                    writer.write(writer.canvas(a_frame(number)))
        except OutputError as e:
            sys.exit(7 if "could not be written" in str(e) else 8)
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
        stderr=subprocess.PIPE,
    )
    assert (run.returncode, run.stderr) == (7, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["file/segments", "file"])
def test_a_folder_that_cannot_be_made(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not be written"):
        SegmentWriter(tmp_path / where, FORMAT)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    writer = SegmentWriter(tmp_path, FORMAT)
    with pytest.raises(OutputError, match="Permission denied"):
        writer.write(writer.canvas(a_frame(0)))


def test_the_format_follows_the_source(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 2, aspect=Fraction(4, 3), rotation=90)
    with VideoSource(path) as source:
        pictures = PictureFormat.of(source)
    assert (pictures.width, pictures.height) == (48, 64)
    assert pictures.sample_aspect_ratio == Fraction(3, 4)
    assert pictures.rate == 25


def test_an_error_of_the_caller_stays_what_it_is(tmp_path: Path) -> None:
    def fail() -> None:
        with SegmentWriter(tmp_path, FORMAT) as writer:
            writer.write(writer.canvas(a_frame(0)))
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        fail()
    assert list(tmp_path.iterdir()) == []
