"""The platform's models: what there is (`manifest.toml`), and how they are loaded."""

from functools import cache
from pathlib import Path

from contanos.models.manifest import Manifest, read_manifest


@cache
def manifest() -> Manifest:
    """Every model and sample video that this version knows."""
    return read_manifest(Path(__file__).with_name("manifest.toml"))
