"""The joined MP4: every frame at its time, sound in step, and whole or absent."""

import itertools
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from contanos.errors import OutputError
from contanos.testing.videos import make_video, read_number
from contanos.video.encoder import PictureFormat
from contanos.video.frame import Frame
from contanos.video.mp4 import Joined, join_segments
from contanos.video.segments import SegmentWriter, finished_segments
from contanos.video.source import VideoSource
from tests.unit.test_video_segments import a_frame, write

PER_SEGMENT = 4


def copy(
    path: Path,
    out: Path,
    frames: int | None = None,
    until: Fraction | None = None,
    first: int = 0,
) -> Joined:
    """The whole way of a video through frames and segments into an MP4."""
    directory = out.with_suffix(".segments")
    with (
        VideoSource(path) as source,
        SegmentWriter(
            directory, PictureFormat.of(source), frames_per_segment=PER_SEGMENT
        ) as writer,
    ):
        stop = None if frames is None else first + frames
        for frame in itertools.islice(source, first, stop):
            assert isinstance(frame, Frame)
            writer.write(writer.canvas(frame))
    return join_segments(finished_segments(directory), out, path, until)


def shown(path: Path) -> tuple[list[int], list[Fraction]]:
    """The numbers that the frames show, and their times."""
    with VideoSource(path) as source:
        frames = [frame for frame in source if isinstance(frame, Frame)]
        assert source.truncated is None
    return [read_number(f.y) for f in frames], [f.pts * f.time_base for f in frames]


@pytest.mark.parametrize(
    "base",
    [
        Fraction(1, 200_000),
        Fraction(1, 15_360),
        Fraction(1, 10),
        Fraction(1001, 30_000),
        Fraction(1, 90_000),
        Fraction(3, 7),
        Fraction(1, 1_000_000_007),
    ],
    ids=str,
)
def test_any_time_base_survives_exactly(base: Fraction, tmp_path: Path) -> None:
    pts = [0, 1, 5, 6, 20, 21, 22, 23, 40]
    pictures = PictureFormat(64, 48, time_base=base, rate=Fraction(25))
    with SegmentWriter(tmp_path / "s", pictures, frames_per_segment=PER_SEGMENT) as writer:
        for number, at in enumerate(pts):
            canvas = writer.canvas(a_frame(number, base=base))
            canvas.picture.pts = at
            writer.write(canvas)
    joined = join_segments(finished_segments(tmp_path / "s"), tmp_path / "out.mp4")
    numbers, times = shown(tmp_path / "out.mp4")
    assert numbers == list(range(9))
    assert times == [at * base for at in pts]
    assert joined == Joined(9, float(57 * base), "none")
    with av.open(str(tmp_path / "out.mp4")) as out:
        stream = out.streams.video[0]
        assert stream.time_base is not None
        assert stream.duration == 57 * base / stream.time_base  # the last lasts like the one before


@pytest.mark.parametrize("audio", ["aac", "libmp3lame", "ac3", "alac"])
def test_sound_is_copied(audio: str, tmp_path: Path) -> None:
    suffix = "mov" if audio == "alac" else "mp4"
    source = make_video(tmp_path / f"in.{suffix}", 50, audio=audio)
    assert copy(source, tmp_path / "out.mp4").audio == "copied"
    _assert_tone(tmp_path / "out.mp4", 2.0)
    assert shown(tmp_path / "out.mp4")[0] == list(range(50))


@pytest.mark.parametrize(
    ("suffix", "audio"), [("mkv", "libopus"), ("avi", "pcm_s16le"), ("mkv", "flac")]
)
def test_other_sound_is_transcoded(suffix: str, audio: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / f"in.{suffix}", 50, audio=audio)
    assert copy(source, tmp_path / "out.mp4").audio == "transcoded"
    _assert_tone(tmp_path / "out.mp4", 2.0)


def test_sound_in_a_transport_stream_is_copied(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.ts", 50, audio="aac")
    assert copy(source, tmp_path / "out.mp4").audio == "copied"
    numbers, times = shown(tmp_path / "out.mp4")
    assert numbers == list(range(50))
    assert times == [Fraction(n, 25) for n in range(50)]  # the stream itself begins later
    _assert_tone(tmp_path / "out.mp4", 2.0)


@pytest.mark.parametrize(("suffix", "audio"), [("mp4", "aac"), ("mkv", "libopus")])
def test_sound_ends_with_the_pictures(suffix: str, audio: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / f"in.{suffix}", 75, audio=audio)
    assert copy(source, tmp_path / "out.mp4", frames=25).frames == 25
    _assert_tone(tmp_path / "out.mp4", 1.0)


@pytest.mark.parametrize(("suffix", "audio"), [("mp4", "aac"), ("mkv", "libopus")])
def test_a_range_keeps_its_own_sound(suffix: str, audio: str, tmp_path: Path) -> None:
    """Silence but for a beep from 2.0 to 2.2 s; the range begins at 1.6 s."""
    source = _with_beep(tmp_path / f"in.{suffix}", 75, audio, 2.0, 2.2)
    assert copy(source, tmp_path / "out.mp4", frames=25, first=40).frames == 25
    numbers, times = shown(tmp_path / "out.mp4")
    assert numbers == list(range(40, 65))
    assert times == [Fraction(n, 25) for n in range(25)]
    starts, ends = _loud(tmp_path / "out.mp4")
    assert starts == pytest.approx(0.4, abs=0.03)
    assert ends == pytest.approx(0.6, abs=0.03)


def test_pictures_only(tmp_path: Path) -> None:
    assert copy(make_video(tmp_path / "in.mp4"), tmp_path / "out.mp4").audio == "none"


def test_until_sets_the_end_of_the_last_picture(tmp_path: Path) -> None:
    joined = copy(make_video(tmp_path / "in.mp4"), tmp_path / "out.mp4", until=Fraction(1))
    assert joined.seconds == 1.0
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert out.duration == av.time_base


@pytest.mark.parametrize(
    ("name", "settings"),
    [("in.png", {"codec": "png", "pix_fmt": "rgb24"}), ("in.mp4", {})],
)
def test_one_picture_gives_a_playable_video(
    name: str, settings: dict[str, str], tmp_path: Path
) -> None:
    path = make_video(tmp_path / name, 1, **settings)  # type: ignore[arg-type]
    assert copy(path, tmp_path / "out.mp4") == Joined(1, 1.0, "none")
    assert shown(tmp_path / "out.mp4") == ([0], [Fraction(0)])


def test_players_get_what_they_need(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mkv", size=(63, 47), pix_fmt="yuv444p", aspect=Fraction(4, 3)
    )
    copy(source, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # faststart
    assert b"avc1" in data
    with av.open(str(tmp_path / "out.mp4")) as out:
        context = out.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (64, 48)
        assert context.sample_aspect_ratio == Fraction(4, 3)
        assert not context.has_b_frames
        assert (context.colorspace, context.color_range) == (6, 1)


def test_rotation_is_gone_because_it_is_baked_in(tmp_path: Path) -> None:
    copy(make_video(tmp_path / "in.mp4", rotation=90), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        picture = next(out.decode(video=0))
        assert (picture.width, picture.height, picture.rotation) == (48, 64, 0)


def test_nothing_to_join_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not one encoded frame"):
        join_segments([], tmp_path / "out.mp4")


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    segments = write(tmp_path / "s", 0, 4)
    with pytest.raises(OutputError, match="could not be written"):
        join_segments(segments, tmp_path / "nowhere" / "out.mp4")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "s", 0, 200)
    (tmp_path / "out.mp4").write_text("what was there")
    script = """
        import resource, signal, sys
        from pathlib import Path
        from contanos.errors import OutputError
        from contanos.video.mp4 import join_segments
        from contanos.video.segments import finished_segments

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        folder = Path(sys.argv[1])
        try:
            join_segments(finished_segments(folder / "s"), folder / "out.mp4")
        except OutputError as e:
            sys.exit(7 if "could not be written" in str(e) else 8)
    """
    join_segments(finished_segments(tmp_path / "s"), tmp_path / "s" / "whole.mp4")
    size = (tmp_path / "s" / "whole.mp4").stat().st_size
    for limit in (1000, size // 2, size - 1):
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), tmp_path, str(limit)],
            cwd=Path(__file__).parents[2],
            timeout=60,
            check=False,
            stderr=subprocess.PIPE,
        )
        assert (run.returncode, run.stderr) == (7, b"")
        assert (tmp_path / "out.mp4").read_text() == "what was there"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["out.mp4", "s"]


def _assert_tone(path: Path, seconds: float) -> None:
    """The 440 Hz tone sounds from the start to `seconds`, within two audio packets."""
    with av.open(str(path)) as out:
        assert out.duration is not None
        assert abs(out.duration / av.time_base - seconds) < 0.03
        stream = out.streams.audio[0]
        assert stream.time_base is not None
        assert abs(float((stream.start_time or 0) * stream.time_base)) < 0.03
        frames: list[AudioFrame] = list(out.decode(audio=0))
    rate = frames[0].sample_rate
    samples = np.concatenate([frame.to_ndarray().astype(float)[0] for frame in frames])
    step = 2 if samples.size > 1.5 * seconds * rate else 1  # interleaved stereo
    samples = samples[::step]
    assert abs(samples.size / rate - seconds) < 0.06
    middle = samples[samples.size // 4 : samples.size // 4 + rate // 2]
    spectrum = np.abs(np.fft.rfft(middle))
    assert abs(np.argmax(spectrum) * rate / middle.size - 440) < 5


def _with_beep(path: Path, frames: int, codec: str, start: float, end: float) -> Path:
    """Numbered pictures, 25 a second, and silence in which a tone sounds from `start` to `end`."""
    pictures = make_video(path.with_name(f"pictures{path.suffix}"), frames)
    with av.open(str(pictures)) as given, av.open(str(path), "w") as container:
        video = container.add_stream_from_template(given.streams.video[0], opaque=True)
        sound = container.add_stream(codec, rate=48_000)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
        at = np.arange(frames * 48_000 // 25) / 48_000
        tone = np.sin(2 * np.pi * 440 * at) * ((start <= at) & (at < end)) * 8000
        samples = np.repeat(tone.astype(np.int16)[None], 2, axis=1)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        fifo = av.AudioFifo()
        fifo.write(frame)
        while part := fifo.read(960, partial=True):
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def _loud(path: Path) -> tuple[float, float]:
    """Seconds from which and to which something is heard."""
    found: list[float] = []
    with av.open(str(path)) as out:
        for frame in out.decode(audio=0):
            assert frame.time is not None
            wave = np.abs(frame.to_ndarray().astype(float)[0])
            found += (frame.time + np.flatnonzero(wave > 0.05) / frame.sample_rate).tolist()
    return min(found), max(found)
