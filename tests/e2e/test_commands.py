"""The smaller commands, as a user types them."""

from pathlib import Path

import pytest

from tests.e2e.cli import contanos


def test_models_are_listed_with_what_is_here(yolox_tiny: Path) -> None:
    ran = contanos("models", "list")
    assert ran.returncode == 0
    line = next(each for each in ran.stdout.splitlines() if "yolox-tiny-humanart" in each)
    assert line.split()[-1] == "yes"
    assert "Apache-2.0" in line


def test_models_are_verified(yolox_tiny: Path, tmp_path: Path) -> None:
    assert contanos("models", "verify", "yolox-tiny-humanart").returncode == 0
    (tmp_path / yolox_tiny.name).write_bytes(b"changed")
    ran = contanos("models", "verify", "yolox-tiny-humanart", CONTANOS_MODEL_DIR=str(tmp_path))
    assert ran.returncode == 2
    assert "sha256" in ran.stdout
    missing = contanos("models", "verify", "demo", CONTANOS_CACHE_DIR=str(tmp_path / "empty"))
    assert missing.returncode == 2


def test_what_is_here_is_not_fetched_again(demo_video: Path, yolox_tiny: Path) -> None:
    ran = contanos("models", "pull", "demo", "yolox-tiny-humanart")
    assert ran.returncode == 0
    assert ran.stdout.splitlines() == ["demo: yes", "yolox-tiny-humanart: yes"]


def test_doctor_names_runtimes_encoders_and_what_is_missing(yolox_tiny: Path) -> None:
    ran = contanos("doctor")
    assert ran.returncode == 0
    for word in ("onnxruntime", "openvino", "f32", "libx264", "java", "maven"):
        assert word in ran.stdout
    bare = contanos("doctor", PATH="/nonexistent")
    assert "apt-get install" in bare.stdout


def test_an_export_without_a_result_says_so(tmp_path: Path) -> None:
    ran = contanos("export", tmp_path, "--format", "coco")
    assert ran.returncode == 2
    assert "results.parquet" in ran.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"]])
def test_help(arguments: list[str]) -> None:
    ran = contanos(*arguments)
    assert ran.returncode == 0
    assert ran.stdout


def test_an_option_that_is_none_is_refused() -> None:
    assert contanos("run", "demo", "--graph", "spiral").returncode == 2
