"""MOTChallenge text, as detections come in and tracks go out."""

from pathlib import Path

import numpy as np
import pytest

from bench import mot
from contanos.errors import InputError


def test_what_was_written_is_read_in_order_of_frame(tmp_path: Path) -> None:
    rows = np.array([[2, 1, 10.5, 20.25, 30, 40, 0.9], [1, 7, 1, 2, 3, 4, 0.125]])
    mot.write_mot(tmp_path / "tracks.txt", rows)
    np.testing.assert_array_equal(mot.read_mot(tmp_path / "tracks.txt"), rows[::-1])


def test_one_row_and_no_row(tmp_path: Path) -> None:
    one, none = tmp_path / "one.txt", tmp_path / "none.txt"
    one.write_text("1,-1,10,20,30,40,0.5,-1,-1,-1\n")
    none.write_text("")
    assert mot.xyxy(mot.read_mot(one)).tolist() == [[10, 20, 40, 60]]
    assert mot.read_mot(none).shape == (0, 7)


@pytest.mark.parametrize("text", ["1,2,3\n", "a video\n", "\n1,1,0,0,0,0\n"])
def test_other_text_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text(text)
    with pytest.raises(InputError, match="not MOTChallenge text"):
        mot.read_mot(tmp_path / "other.txt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not MOTChallenge text"):
        mot.read_mot(tmp_path / "absent.txt")
