"""The examples in `docs/client.md` work, one after another."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.backend.live import WorkingServer
from tests.backend.working import key, working

__all__ = ["key", "working"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "client.md"


def test_the_examples_work(
    working: WorkingServer, key: str, demo_video: Path, tmp_path: Path
) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(examples) == 5
    (tmp_path / "walk.mp4").symlink_to(demo_video)
    told = {"CONTANOS_SERVER": working.url, "CONTANOS_API_KEY": key}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(examples)],
        cwd=tmp_path,
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "completed 50 50 None" in lines
    assert "the end: completed" in lines
    assert lines[-1] == "no task abc is yours"
    files = {each.name for each in (tmp_path / "out" / "walk").iterdir()}
    assert files >= {"annotated.mp4", "results.parquet", "summary.json", "results.csv"}
