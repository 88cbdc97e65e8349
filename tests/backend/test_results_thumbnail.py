"""Thumbnails: of people where there are some, of whatever can be decoded."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from contanos.errors import VideoError
from contanos.testing.videos import make_audio, make_video
from tests.backend.finished import result_folder
from tests.backend.test_results_frames import write
from tests.unit.result_frames import frame, person
from video_analysis.backend.results.thumbnail import HIGHEST, WIDTH, make_thumbnail

__all__ = ["result_folder"]


def shades(frames: int) -> Callable[[int], np.ndarray]:
    """Pictures of one grey each, from dark to light: which one it is can be seen."""
    return lambda number: np.full((48, 64, 3), 20 + 200 * number // frames, np.uint8)


def shade(path: Path) -> float:
    picture = cv2.imread(str(path))
    assert picture is not None
    return float(picture.mean())


def make(video: Path) -> np.ndarray:
    target = video.with_name("thumbnail.jpg")
    make_thumbnail(video, target)
    assert target.read_bytes().startswith(b"\xff\xd8\xff")
    assert [each.name for each in video.parent.glob(".*")] == []
    picture = cv2.imread(str(target))
    assert picture is not None
    return picture


def test_people_are_looked_for_in_the_first_third(tmp_path: Path) -> None:
    """They are most in picture 12, but for later ones; frames are counted from 100."""
    count = 60
    people = {8: 1, 12: 3, 13: 3, 15: 1, 40: 6}
    frames = [
        frame(100 + i, [person(k + 1) for k in range(people.get(i, 0))], pts=9000 + 1200 * i)
        for i in range(count)
    ]
    result = write(tmp_path, frames)
    video = result.with_name("annotated.mp4")
    make_video(video, count, picture=shades(count))
    found = make(video)
    assert found.shape == (240, WIDTH, 3)
    assert abs(found.mean() - (20 + 200 * 12 / count)) < 2.5
    result.unlink()
    assert abs(make(video).mean() - (20 + 200 * 10 / count)) < 2.5
    result.write_bytes(b"no Parquet")
    assert abs(make(video).mean() - (20 + 200 * 10 / count)) < 2.5


def test_nobody_in_the_first_third(tmp_path: Path) -> None:
    frames = [frame(i, [person(None)] + [person(1)] * (i > 20), pts=1200 * i) for i in range(60)]
    video = write(tmp_path, frames).with_name("annotated.mp4")
    make_video(video, 60, picture=shades(60))
    assert abs(make(video).mean() - (20 + 200 * 10 / 60)) < 2.5


def test_a_result_without_frames_or_people_does_no_harm(tmp_path: Path) -> None:
    for number, frames in enumerate(([], [frame(0)])):
        video = write(tmp_path / str(number), frames).with_name("annotated.mp4")
        make_video(video, 3)
        assert make(video).shape == (240, WIDTH, 3)


@pytest.mark.parametrize(
    ("made", "size"),
    [
        ({"frames": 1}, (320, 240)),
        ({"size": (48, 64)}, (320, 427)),
        ({"size": (2, 2)}, (320, 320)),
        ({"size": (16, 1024)}, (15, HIGHEST)),
        ({"size": (1024, 16)}, (320, 5)),
        ({"size": (64, 48), "rotation": 90}, (320, 427)),
        ({"size": (64, 48), "aspect": Fraction(2)}, (320, 120)),
        ({"size": (64, 48), "aspect": Fraction(2), "rotation": 90}, (320, 853)),
        ({"size": (63, 47), "codec": "mjpeg", "pix_fmt": "yuvj444p"}, (320, 239)),
        ({"size": (1280, 720)}, (320, 180)),
        ({"frames": 3, "pts": [700, 701, 5000], "time_base": Fraction(1, 1000)}, (320, 240)),
    ],
)
def test_every_shape(made: dict[str, object], size: tuple[int, int], tmp_path: Path) -> None:
    video = make_video(tmp_path / "annotated.mp4", **made)  # type: ignore[arg-type]
    height, width, _ = make(video).shape
    assert (width, height) == size


def test_colours_are_those_of_the_video(tmp_path: Path) -> None:
    """JPEG knows one colour matrix, video several."""
    blue = np.full((720, 1280, 3), (200, 60, 30), np.uint8)
    for matrix in ("bt709", "smpte170m"):
        video = make_video(
            tmp_path / f"{matrix}.mp4",
            2,
            size=(1280, 720),
            picture=lambda _: blue,
            options={"colorspace": matrix},
        )
        shown = make(video).mean(axis=(0, 1))
        with_av = make_reference(video)
        assert np.abs(shown - with_av).max() < 6


def make_reference(video: Path) -> np.ndarray:
    """The mean colour that another reader of videos finds."""
    from contanos.video.source import VideoSource

    with VideoSource(video) as source:
        first = next(iter(source))
    return first.bgr().mean(axis=(0, 1))  # type: ignore[union-attr]


def test_what_is_no_video_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    text = tmp_path / "annotated.mp4"
    text.write_text("nothing to see")
    sound = make_audio(tmp_path / "sound.mp4")
    for each in (text, sound, tmp_path / "absent.mp4"):
        with pytest.raises(VideoError):
            make_thumbnail(each, tmp_path / "thumbnail.jpg")
    assert not (tmp_path / "thumbnail.jpg").exists()


def test_of_a_real_result_it_shows_the_walker(result_folder: Path, tmp_path: Path) -> None:
    picture = cv2.imread(str(result_folder / "thumbnail.jpg"))
    assert picture is not None
    assert picture.shape == (180, WIDTH, 3)
    assert picture.std() > 20
