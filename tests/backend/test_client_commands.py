"""The commands for a server, as a user types them."""

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from contanos.client import Client, Options
from contanos.testing.kafka.ports import free_ports
from tests.backend.clients import ADMIN
from tests.backend.cuts import Way
from tests.backend.finished import result_folder
from tests.backend.live import WorkingServer
from tests.backend.videos import BYTES, VERSION
from tests.backend.working import client, key, upload_id, working
from tests.e2e.cli import COMMAND, contanos
from video_analysis.results.reader import open_results

__all__ = ["client", "key", "result_folder", "upload_id", "working"]

FRAMES = 40
FILES = ["annotated.mp4", "results.parquet", "summary.json", "thumbnail.jpg"]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(working: WorkingServer, key: str, tmp_path: Path) -> Command:
    """`contanos` of somebody who has set the environment."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        told = {"CONTANOS_SERVER": working.url, "CONTANOS_API_KEY": key}
        return contanos(*arguments, **(told | nobody(tmp_path) | environment))

    return run


def nobody(folder: Path) -> dict[str, str]:
    """The environment of somebody who has never logged in."""
    return {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_video_is_submitted_watched_and_fetched(
    command: Command, demo_video: Path, result_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = command(
        "submit", demo_video, "--label", "[red]wälk", "--max-frames", str(FRAMES), "--fetch", out
    )
    assert ran.returncode == 0, ran.stderr
    task_id = ran.stdout.split()[0]
    assert f"{task_id}  complete: {FRAMES} frames in, {FRAMES} frames out" in ran.stdout
    assert names(out) == FILES
    here, there = open_results(result_folder), open_results(out)
    assert [each.detections for each in there] == [each.detections for each in here]

    shown = command("status", task_id)
    assert shown.returncode == 0
    for word in ("[red]wälk", "completed", "proof: complete", "max_frames", "pose_first"):
        assert word in shown.stdout
    told = json.loads(command("status", task_id, "--json").stdout)
    assert (told["state"], told["proof"]["complete"]) == ("completed", True)
    listed = command("status", "--limit", "1")
    assert (task_id in listed.stdout, "[red]wälk" in listed.stdout) == (True, True)
    (first,) = json.loads(command("status", "--limit", "1", "--json").stdout)
    assert first["id"] == task_id
    assert (
        json.loads(command("status", "--state", "failed", "--state", "queued", "--json").stdout)
        == []
    )

    again = command("fetch", task_id, "--out", tmp_path / "again")
    assert again.returncode == 0
    assert names(tmp_path / "again") == FILES
    export = command("fetch", task_id, "--out", tmp_path / "export", "--export", "csv")
    assert export.returncode == 0
    assert names(tmp_path / "export") == ["results.csv"]
    assert command("watch", task_id).returncode == 0


def test_several_videos_have_folders_of_their_own(
    command: Command, demo_video: Path, tmp_path: Path
) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).symlink_to(demo_video)
    options = ("--max-frames", "3", "--no-video", "--first-frame", "5", "--trail", "0")
    videos = (tmp_path / "one.mp4", tmp_path / "two.mp4")
    ran = command("submit", *videos, *options, "--fetch", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    for name in ("one", "two"):
        assert names(tmp_path / "out" / name) == ["results.parquet", "summary.json"]
        assert open_results(tmp_path / "out" / name).first == 5
    same = command("submit", videos[0], demo_video.parent / "one.mov", "--fetch", tmp_path / "out")
    assert same.returncode == 2
    assert "same name" in same.stderr


def test_ctrl_c_leaves_the_task_running(
    command: Command,
    client: Client,
    working: WorkingServer,
    key: str,
    upload_id: str,
    tmp_path: Path,
) -> None:
    task = client.submit(upload_id)
    with Way(working.port) as way:
        told = {"CONTANOS_SERVER": way.url, "CONTANOS_API_KEY": key} | nobody(tmp_path)
        watching = subprocess.Popen(
            [*COMMAND, "watch", task.id], stderr=subprocess.PIPE, text=True, env=os.environ | told
        )
        while not any(b"/events" in each for each in way.asked):
            assert watching.poll() is None
            time.sleep(0.05)
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert f"task {task.id} goes on" in said
    assert client.task(task.id).state in ("queued", "running")

    cancelled = command("cancel", task.id, "--drop")
    assert cancelled.returncode == 0
    assert cancelled.stdout.split()[0] == task.id
    over = command("watch", task.id)
    assert (over.returncode, "cancelled" in over.stdout) == (2, True)
    nothing = command("fetch", task.id, "--out", tmp_path / "nothing")
    assert nothing.returncode == 2
    assert "none of its files were kept" in nothing.stderr
    twice = command("cancel", task.id)
    assert (twice.returncode, "the task is over" in twice.stderr) == (2, True)


def test_a_task_that_failed_is_our_fault(
    command: Command, client: Client, working: WorkingServer, key: str
) -> None:
    """The only one that surely fails: its video turns out to be none."""
    who = {"X-API-Key": key} | VERSION
    place = f"{working.api}/uploads/tus"
    begun = httpx.post(place, headers=who | {"Upload-Length": "5"})
    upload_id = begun.headers["Location"].rpartition("/")[2]
    task = client.submit(upload_id, Options(max_frames=1))
    bytes_ = who | BYTES | {"Upload-Offset": "0"}
    assert httpx.patch(f"{place}/{upload_id}", headers=bytes_, content=b"notes").status_code == 204
    ran = command("watch", task.id)
    assert ran.returncode == 1
    assert f"{task.id}  failed: " in ran.stdout
    shown = command("status", task.id)
    assert "cause" in shown.stdout
    fetched = command("fetch", task.id)
    assert fetched.returncode == 2
    assert "it failed" in fetched.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("status", "abc"), "no task abc is yours"),
        (("watch", "abc"), "no task abc is yours"),
        (("fetch", "abc"), "no task abc is yours"),
        (("cancel", "abc"), "no task abc is yours"),
        (("status", "../users"), "is no id"),
        (("submit", "missing.mp4"), "missing.mp4 cannot be read"),
        (("submit", __file__), "test_client_commands.py: "),
        (("status", "--api-key", "ctn_secret"), "a key on the command line is seen"),
        (("status", "--key=ctn_secret"), "a key on the command line is seen"),
        (("status", "--server", "http://ada:ctn_secret@a"), "has no password"),
        (("status", "--server", "example"), "is no server"),
        (("status", "--state", "asleep"), "state"),
    ],
)
def test_what_is_refused_says_why(command: Command, arguments: tuple[str, ...], says: str) -> None:
    ran = command(*arguments)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "ctn_secret" not in ran.stderr


def test_wrong_keys_and_servers_that_are_away(command: Command, tmp_path: Path) -> None:
    wrong = command("status", CONTANOS_API_KEY="ctn_wrong")
    assert (wrong.returncode, "no such API key" in wrong.stderr) == (2, True)
    none = command("status", CONTANOS_API_KEY="")
    assert (none.returncode, "CONTANOS_API_KEY" in none.stderr) == (2, True)
    nowhere = command("status", CONTANOS_SERVER="")
    assert (nowhere.returncode, "CONTANOS_SERVER" in nowhere.stderr) == (2, True)
    (port,) = free_ports(1)
    away = command("status", "--server", f"http://127.0.0.1:{port}")
    assert away.returncode == 2
    assert f"http://127.0.0.1:{port}: cannot be reached" in away.stderr


def test_a_login_is_enough(command: Command, working: WorkingServer, tmp_path: Path) -> None:
    told = nobody(tmp_path) | {"CONTANOS_SERVER": "", "CONTANOS_API_KEY": ""}
    log_in = [*COMMAND, "login", "--server", working.url, "--name", ADMIN.name]

    def with_password(password: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            log_in,
            input=password,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env=os.environ | told,
        )

    wrong = with_password("wrong\n")
    assert (wrong.returncode, "wrong name or password" in wrong.stderr) == (2, True)
    assert with_password(f"{ADMIN.password}\n").returncode == 0
    (kept,) = tmp_path.rglob("server.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert ADMIN.password not in kept.read_text()
    assert command("status", **told).returncode == 0
    other = command("status", "--server", "http://127.0.0.1:1", **told)
    assert (other.returncode, "no key for http://127.0.0.1:1" in other.stderr) == (2, True)

    before = json.loads(kept.read_text())["key"]["key"]
    assert with_password(ADMIN.password).returncode == 0  # which revokes the one before
    now = json.loads(kept.read_text())["key"]["key"]
    assert [answers(working, each) for each in (before, now)] == [401, 200]
    admin = httpx.get(f"{working.api}/users", headers={"X-API-Key": now})
    assert admin.status_code == 403
    assert command("logout", **told).returncode == 0
    assert answers(working, now) == 401
    assert not kept.exists()
    assert command("logout", **told).returncode == 2
    assert command("status", **told).returncode == 2


def answers(server: WorkingServer, key: str) -> int:
    return httpx.get(f"{server.api}/tasks", headers={"X-API-Key": key}).status_code
