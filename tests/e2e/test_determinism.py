"""Two runs of the same file give the same bytes, whatever runs beside what."""

from pathlib import Path

import pytest

from tests.e2e.cli import contanos


@pytest.mark.parametrize("graph", ["pose_first", "track_first"])
def test_any_number_of_workers_gives_the_same_bytes(
    graph: str, vtest_video: Path, tmp_path: Path
) -> None:
    made = []
    for run, workers in enumerate(("1", "3")):
        folder = tmp_path / str(run)
        options = ["--graph", graph, "--max-frames", "40"]
        ran = contanos("run", vtest_video, "--out", folder, *options, CONTANOS_WORKERS=workers)
        assert ran.returncode == 0, ran.stderr
        made.append([(folder / name).read_bytes() for name in ("results.parquet", "annotated.mp4")])
    assert made[0] == made[1]
