"""tus-js-client (MIT), which Uppy uses too, uploads a file while the server is killed.

It is installed by npm, as its lock says, into a folder that is removed again.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backend.live import LiveServer
from tests.backend.videos import checked, video

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent / "tus_js"
MIB = 1 << 20


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside an installed client."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("tus_js")
    if npm is None or shutil.which("node") is None:
        if os.environ.get("CI"):
            raise RuntimeError("CI tests tus-js-client: install Node.js")
        pytest.skip("NOT TESTED WITH TUS-JS-CLIENT: install Node.js and npm")
    for name in ("package.json", "package-lock.json", "upload.js"):
        shutil.copy(HERE / name, folder)
    command = [npm, "ci", "--silent", "--prefer-offline", "--no-audit", "--no-fund"]
    subprocess.run([*command, "--ignore-scripts"], cwd=folder, check=True, timeout=200)
    return folder / "upload.js"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path / "data") as server:
        yield server


async def test_it_goes_on_where_it_was_when_the_server_died(
    live: LiveServer, program: Path, tmp_path: Path
) -> None:
    who = live.log_in()
    path = tmp_path / "walk.mp4"
    path.write_bytes(video(tmp_path) + os.urandom(20 * MIB))  # players do not mind what follows
    token = who["Authorization"].removeprefix("Bearer ")
    command = ["node", program, f"{live.api}/uploads/tus", token, path, "Ada's wälk.mp4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        for line in client.stdout:
            if line == f"sent {5 * MIB}\n":
                break
        live.kill()
        live.start()
        told = client.stdout.read().splitlines()
    assert client.returncode == 0
    assert told[-1].startswith("done")
    async with httpx.AsyncClient(base_url=live.url, timeout=30) as caller:
        (made,) = (await caller.get("/api/v1/uploads", headers=who)).json()["items"]
        found = await checked(caller, who, made["id"])
    assert (found["state"], found["label"]) == ("ready", "Ada's wälk.mp4")
    kept = live.data_dir / "files" / "uploads" / found["id"]
    assert kept.read_bytes() == path.read_bytes()
