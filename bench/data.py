"""Where the data for scores lies. It is not ours to distribute, so it may be absent."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def data_dir() -> Path:
    """`CONTANOS_TEST_DATA`, or `../shared/data` beside the repository."""
    return Path(os.environ.get("CONTANOS_TEST_DATA") or ROOT.parent / "shared" / "data")


def required(name: str) -> Path:
    """A folder of the data; ends the program with a message where it is absent."""
    path = data_dir() / name
    if not path.exists():
        sys.exit(f"{path} is not here; set CONTANOS_TEST_DATA to the folder that holds {name}")
    return path
