"""Our ByteTrack on real detections: within 0.5 HOTA of the authors', or above, everywhere."""

from pathlib import Path

import pytest

from bench import mot, tracking

needs_data = pytest.mark.skipif(
    not (mot.data_folder() / "mot17").is_dir(),
    reason=f"no test data in {mot.data_folder()}; set CONTANOS_TEST_DATA to score the tracker",
)


@needs_data
@pytest.mark.parametrize("name", tracking.REFERENCE)
def test_no_sequence_falls_behind_the_authors(name: str) -> None:
    seq = mot.sequence(name)
    followed = tracking.run(tracking.ours(seq.frame_rate), seq.public_detections(), seq.frames)
    assert mot.score(followed.tracks, seq).hota >= tracking.REFERENCE[name].hota - 0.5


@needs_data
def test_the_ground_truth_scores_all_and_nothing_scores_nothing() -> None:
    seq = mot.sequence("TUD-Campus")
    truth = mot.read_mot(seq.ground_truth)
    assert mot.score(truth, seq) == mot.Scores(100, 100, 100)
    assert mot.score(truth[:0], seq) == mot.Scores(0, 0, 0)


@needs_data
def test_the_second_half_starts_where_the_authors_cut() -> None:
    seq = mot.sequence("MOT17-02")
    whole, half = mot.read_mot(seq.detections), seq.public_detections()
    assert (seq.frames, seq.skipped) == (299, 301)
    assert half[0, mot.FRAME] == 1
    first = whole[whole[:, mot.FRAME] == 302]
    assert (half[: len(first), 1:] == first[:, 1:]).all()


@needs_data
def test_the_table_of_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trackers", reason="the peer needs the extra `bench`")
    seq = mot.sequence("TUD-Campus")
    tracks = tmp_path / "tracks.txt"
    mot.write_mot(tracks, mot.read_mot(seq.ground_truth))
    arguments = ["TUD-Campus", "--end-to-end", str(seq.detections), str(tracks)]
    assert tracking.main(arguments) == 0
    assert "| TUD-Campus | 100.0 / 100.0 / 100.0 | 51." in capsys.readouterr().out


@needs_data
@pytest.mark.parametrize(
    "text", ["1,1,0,0\n", "frame,id\n", "72,1,0,0,9,9,1\n", "1,1,0,0,9,9,1\n" * 2]
)
def test_a_file_that_cannot_be_scored(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("supervision", reason="the peer tracker comes with `make bench`")
    wrong = tmp_path / "tracks.txt"
    wrong.write_text(text)
    boxes = str(mot.sequence("TUD-Campus").detections)
    assert tracking.main(["TUD-Campus", "--end-to-end", boxes, str(wrong)]) == 2
    assert capsys.readouterr().err.strip()


def test_an_unknown_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    assert tracking.main(["MOT17-99"]) == 2
    assert "CONTANOS_TEST_DATA" in capsys.readouterr().err
