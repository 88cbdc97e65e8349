"""Fixtures: the real models, the real videos, the data with ground truth."""

import os
from pathlib import Path

import pytest

from contanos.errors import ModelUnavailable
from contanos.models.fetch import fetch
from tests.services.broker import broker, kafka_machine, own_broker
from video_analysis.models import manifest

__all__ = ["broker", "kafka_machine", "own_broker"]  # fixtures of a real Kafka, for every suite

ROOT = Path(__file__).resolve().parents[1]


def fetched(name: str) -> Path:
    return fetch(manifest()[name])


@pytest.fixture(scope="session")
def yolox_tiny() -> Path:
    return fetched("yolox-tiny-humanart")


@pytest.fixture(scope="session")
def rtmpose_s() -> Path:
    return fetched("rtmpose-s-halpe26")


@pytest.fixture(scope="session")
def demo_video() -> Path:
    """One walker, 230 frames, 1768x994, VP9 with AAC."""
    return fetched("demo")


@pytest.fixture(scope="session")
def vtest_video() -> Path:
    """PETS09-S2L1, 795 frames."""
    try:
        return fetched("vtest")
    except ModelUnavailable as e:
        pytest.skip(f"no vtest.avi on this machine: {e}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of data with ground truth."""
    path = Path(os.environ.get("CONTANOS_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no data with ground truth at {path}; set CONTANOS_TEST_DATA")
    return path
