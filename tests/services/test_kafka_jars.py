"""How Kafka's jars come into the cache; a script stands for Maven, the broker's tests run it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contanos.errors import MachineError
from contanos.testing.kafka.jars import jars

DELIVERS = """
echo asked >> "$ASKED"
sleep 0.2
for each; do case "$each" in -DoutputDirectory=*) target="${each#*=}";; esac; done
mkdir "$target"
echo jar > "$target/kafka.jar"
"""
FAILS = "echo 'Could not resolve host'; exit 1"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the script notes each time it is asked; the cache is empty."""
    monkeypatch.setenv("CONTANOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path / "asked"


def maven_that(script: str, folder: Path) -> None:
    (folder / "mvn").write_text(f"#!/bin/sh\n{script}")
    (folder / "mvn").chmod(0o755)


def test_two_at_once_fetch_once_and_later_ones_ask_nobody(asked: Path, tmp_path: Path) -> None:
    maven_that(DELIVERS, tmp_path)
    with ThreadPoolExecutor(2) as both:
        first, second = [each.result() for each in [both.submit(jars), both.submit(jars)]]
    assert first == second == jars()
    assert (first / "kafka.jar").read_text() == "jar\n"
    assert asked.read_text() == "asked\n"


def test_what_maven_said_reaches_the_user_and_nothing_is_left(asked: Path, tmp_path: Path) -> None:
    maven_that(FAILS, tmp_path)
    with pytest.raises(MachineError, match="Could not resolve host"):
        jars()
    left = [each for each in (tmp_path / "cache").iterdir() if each.suffix != ".lock"]
    assert left == []
