"""`contanos run --bus kafka://…`: the command, the services, the broker, each the real one."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contanos.testing.kafka import Broker
from tests.backend.clients import ADMIN
from tests.e2e.cli import COMMAND, contanos
from tests.services.installation import Installation
from tests.services.members import fresh_namespace
from tests.services.users import SETTINGS
from video_analysis.workspace import OUTPUTS

FRAMES = 24


@pytest.fixture(scope="module")
def url(broker: Broker) -> str:
    return fresh_namespace(broker.url)


@pytest.fixture(scope="module")
def installation(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    logs = tmp_path_factory.mktemp("logs")
    with Installation(url, logs, grace_seconds=20, outcome_seconds=60, **SETTINGS) as running:
        yield running


def ask(installation: Installation, kind: str, path: str, **headers: str) -> bytes:
    (service,) = installation.of(kind)
    request = urllib.request.Request(service.url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: bytes = answer.read()
        return found


def as_administrator(installation: Installation) -> dict[str, str]:
    (backend,) = installation.of("backend")
    answer = httpx.post(f"{backend.url}/api/v1/login", json=ADMIN._asdict(), timeout=30)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_file_goes_through_the_services(
    installation: Installation, url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    arguments = ("--bus", url, "--out", folder, "--max-frames", str(FRAMES), "--task-id", "walk")
    ran = contanos("run", "demo", *arguments)
    assert ran.returncode == 0, ran.stderr
    assert f"Complete: {FRAMES} frames in, {FRAMES} frames out" in ran.stdout
    assert f"{FRAMES}/{FRAMES}" in ran.stderr
    assert sorted(each.name for each in folder.iterdir()) == sorted(OUTPUTS)
    with pytest.raises(urllib.error.HTTPError, match="401"):  # it has the tasks of all users
        ask(installation, "backend", "/tasks/walk")
    known = {"backend": as_administrator(installation)}
    for kind in ("yolox", "rtmpose", "bytetrack", "annotation", "backend"):
        told = ask(installation, kind, "/tasks/walk", **known.get(kind, {}))
        row: dict[str, Any] = json.loads(told)
        assert (row["state"], row["frames"], row["lag"]) == ("ended", FRAMES, 0), kind
    counted = ask(installation, "annotation", "/metrics").decode()
    assert f'contanos_frames_total{{failed="false",stage="annotation"}} {FRAMES}.0' in counted
    received = [
        x for x in counted.splitlines() if x.startswith("contanos_bus_bytes_received_total")
    ]
    assert float(received[0].split()[-1]) > 10_000
    again = contanos("run", "demo", *arguments)
    assert again.returncode == 2
    assert "walk is there already" in again.stderr


def test_what_is_no_video_is_refused_before_anybody_is_bothered(
    installation: Installation, url: str, tmp_path: Path
) -> None:
    broken = tmp_path / "notes.mp4"
    broken.write_text("no video")
    ran = contanos("run", broken, "--bus", url, "--out", tmp_path / "out")
    assert ran.returncode == 2
    assert "notes.mp4" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_would_replace_the_input_is_refused(
    installation: Installation, url: str, demo_video: Path, tmp_path: Path
) -> None:
    video = tmp_path / "annotated.mp4"
    video.write_bytes(demo_video.read_bytes())
    ran = contanos("run", video, "--bus", url, "--out", tmp_path, "--max-frames", "8")
    assert ran.returncode == 2
    assert "would be replaced" in ran.stderr
    assert video.read_bytes() == demo_video.read_bytes()


def test_ctrl_c_ends_the_task_and_keeps_what_there_is(
    installation: Installation, url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    command = [*COMMAND, "run", "demo", "--bus", url, "--out", str(folder), "--task-id", "stop"]
    running = subprocess.Popen(
        command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while b'"stop"' not in ask(installation, "yolox", "/tasks"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "INCOMPLETE (cancelled)" in out
    assert json.loads((folder / "summary.json").read_bytes())["reason"] == "cancelled"


def test_nobody_there_is_said(tmp_path: Path, demo_video: Path) -> None:
    ran = contanos("run", demo_video, "--bus", "kafka://127.0.0.1:9", "--out", tmp_path / "out")
    assert ran.returncode == 2
    assert "no broker answers at 127.0.0.1:9" in ran.stderr
