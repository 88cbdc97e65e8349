"""Starting services from the command line, and services in one process."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from contanos.errors import SettingError
from contanos.service.address import Address
from contanos.testing.kafka.ports import free_ports
from tests.conftest import ROOT
from video_analysis.services import SERVICES
from video_analysis.services.__main__ import main
from video_analysis.services.here import Services
from video_analysis.services.launch import children, launch
from video_analysis.settings import Settings

# A process of services made of the small test graph. It reaches for the bus until one file is
# there, and loads until another is.
PROCESS = """
import sys, time
from pathlib import Path
from contanos.service.address import Address
from tests.services.service_line import STAGES, Line
from video_analysis.services import here
from video_analysis.settings import Settings

here._DEAD = 0.2
here._LOADING = 0.5
gate, supervised, ports = Path(sys.argv[1]), sys.argv[2] == "supervised", sys.argv[3:]

def load():
    while not gate.exists():
        time.sleep(0.01)
    if gate.read_text() == "dies":
        line.cause = "the runner of double has ended"

def assemble(names, settings):
    while not gate.with_name("bus").exists():
        time.sleep(0.01)
    return line

line = Line(load=load)
line.add("waits")
places = {stage: Address("127.0.0.1", int(port)) for stage, port in zip(STAGES, ports)}
sys.exit(here.run_here(places, Settings(), assemble, "x", supervised))
"""


class Process:
    """Services in a process of their own."""

    def __init__(self, folder: Path, how: str = "alone", bus: bool = True) -> None:
        self.gate = folder / "gate"
        self.bus = folder / "bus"
        if bus:
            self.bus.touch()
        self.ports = free_ports(3)
        self.running = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(self.gate), how, *map(str, self.ports)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.client = httpx.Client(trust_env=False)

    def get(self, path: str, index: int = 0) -> httpx.Response:
        return self.client.get(f"http://127.0.0.1:{self.ports[index]}{path}")

    def listens(self) -> bool:
        try:
            return bool(self.get("/"))
        except httpx.ConnectError:
            assert self.running.poll() is None, self.running.communicate()
            return False

    def is_ready(self) -> bool:
        return self.listens() and self.get("/ready").status_code == 200

    def ended(self) -> tuple[int, str, str]:
        out, err = self.running.communicate(timeout=20)
        return self.running.returncode, out, err

    def close(self) -> None:
        self.client.close()
        if self.running.poll() is None:
            self.running.kill()
            self.running.communicate()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(how: str = "alone", bus: bool = True) -> Process:
        made.append(Process(tmp_path, how, bus))
        return made[-1]

    yield make
    for each in made:
        each.close()


def until(true: Callable[[], object], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def no_services(names: Sequence[str], settings: Settings) -> Services:
    raise AssertionError("nothing should have been started")


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    """The command's exit status, and all that it said."""
    monkeypatch.setattr(sys, "argv", ["start_services.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


def test_it_answers_while_models_load(process: Callable[..., Process]) -> None:
    services = process(bus=False)
    until(services.listens)
    assert services.get("/health").json() == {"healthy": True, "reason": None}
    assert services.get("/ready").status_code == services.get("/tasks").status_code == 503
    assert services.get("/ready").json()["reasons"] == ["starting: reaching the bus"]
    assert "double does not work yet" in services.get("/tasks").json()["error"]
    services.bus.touch()
    until(lambda: services.get("/tasks").status_code == 200)
    assert services.get("/health").status_code == 200
    assert services.get("/ready").status_code == 503
    assert services.get("/ready").json()["reasons"] == ["starting: models are being loaded"]
    services.gate.touch()
    until(services.is_ready)
    for index, stage in enumerate(("double", "total", "collect")):
        assert services.get("/", index).json()["name"] == stage
        assert services.get("/tasks/waits", index).json()["state"] == "waiting"
    services.running.send_signal(signal.SIGTERM)
    status, out, err = services.ended()
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{stage} is ready: http://127.0.0.1:{port}"
        for stage, port in zip(("double", "total", "collect"), services.ports, strict=True)
    ]


@pytest.mark.parametrize(("number", "bus"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_it_can_be_stopped_while_it_starts(
    process: Callable[..., Process], number: signal.Signals, bus: bool
) -> None:
    services = process(bus=bus)
    until(services.listens)
    services.running.send_signal(number)
    assert services.ended() == (0, "", "")


def test_it_ends_with_its_parent(process: Callable[..., Process]) -> None:
    services = process("supervised")
    services.gate.touch()
    until(services.is_ready)
    assert services.running.stdin
    services.running.stdin.close()
    services.running.stdin = None
    assert services.ended() == (0, "", "")


def test_it_ends_where_only_a_new_process_would_help(process: Callable[..., Process]) -> None:
    services = process("supervised")
    written = services.gate.with_name("written")
    written.write_text("dies")
    written.replace(services.gate)
    services.running.wait(20)
    status, _, err = services.ended()
    assert (status, "the runner of double has ended" in err) == (1, True)


def test_the_file_at_the_root_lists_services_and_ports() -> None:
    command = [sys.executable, "start_services.py", "--list"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[:2] for line in told.splitlines()] == [
        ["backend", "8000"],
        ["yolox", "8001"],
        ["rtmpose", "8002"],
        ["bytetrack", "8004"],
        ["annotation", "8003"],
    ]


def test_workers_are_ten_ports_apart() -> None:
    specs = children(list(SERVICES), "127.0.0.1", None, 2)
    assert [(each.name, each.address.port) for each in specs] == [
        ("backend", 8000),
        ("backend-1", 8010),
        ("yolox", 8001),
        ("yolox-1", 8011),
        ("rtmpose", 8002),
        ("rtmpose-1", 8012),
        ("bytetrack", 8004),
        ("bytetrack-1", 8014),
        ("annotation", 8003),
        ("annotation-1", 8013),
    ]
    assert specs[3].command[1:] == [
        *("-m", "video_analysis.services", "yolox", "--host", "127.0.0.1", "--port", "8011"),
        "--supervised",
    ]
    assert [each.address.port for each in children(["yolox"], "::1", 9000, 3)] == [9000, 9010, 9020]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["yolox"], "yolox by itself on memory:// could talk to nobody"),
        (["--workers", "2"], "--workers needs processes that can talk to each other"),
        (["--port", "9000"], "--port is for a single service; name one"),
        (["--bus", "carrier://pigeon"], "use kafka://host:port or memory://"),
        (["--env-file", "no/such/file"], "--env-file no/such/file cannot be read"),
        (["cook"], "'cook' is not one of 'all'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CONTANOS_BUS", "memory://")
    status, words = run(monkeypatch, capsys, *arguments)
    assert (status, said in " ".join(words.split())) == (2, True), words


def test_settings_come_from_a_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file = tmp_path / "platform.env"
    env_file.write_text("# ours\nCONTANOS_BUS=pigeon://loft\nCONTANOS_WORKERS='0'\n")
    # Set and removed, so that what the command adds to the environment is gone after the test.
    for name in ("CONTANOS_BUS", "CONTANOS_WORKERS"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    status, words = run(monkeypatch, capsys, "yolox", "--env-file", str(env_file))
    assert (status, "CONTANOS_WORKERS: " in words) == (2, True), words
    monkeypatch.setenv("CONTANOS_WORKERS", "1")
    status, words = run(monkeypatch, capsys, "yolox", "--env-file", str(env_file))
    assert (status, "CONTANOS_BUS=pigeon://loft" in words) == (2, True), words


@pytest.mark.parametrize("which", ["yolox", "all"])
def test_a_port_that_is_taken_is_named(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        usual = {name: each._replace(port=port) for name, each in SERVICES.items()}
        monkeypatch.setattr("video_analysis.services.launch.SERVICES", usual)
        option = "--port" if which == "yolox" else "--host"
        with pytest.raises(SettingError, match=f"port {port} of 127.0.0.1 is taken.*{option}"):
            launch(which, Settings(bus="kafka://127.0.0.1:9"), no_services)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(SettingError, match=r"cannot listen on 192\.0\.2\.1, port 8000: .*choose"):
        Address("192.0.2.1", 8000).listen("choose another")


def test_an_address_for_everybody_is_reached_at_home() -> None:
    assert Address("0.0.0.0", 8001).url == "http://127.0.0.1:8001"
    assert Address("::", 8001).url == "http://[::1]:8001"
