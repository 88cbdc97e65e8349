"""Processes that are kept alive: real ones, that die in all the ways there are."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from contanos.service.address import Address
from contanos.service.child import ChildSpec
from contanos.service.children import Children
from contanos.service.stopping import Stopping
from contanos.testing.kafka.ports import free_ports

# Answers /ready as a service does, and writes down what happens to it.
CHILD = """
import sys, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from contanos.service.stopping import Stopping

name, port, journal, how = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

def note(what):
    with open(journal, "a") as lines:
        lines.write(f"{name} {what}\\n")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"ready": false, "reasons": ["model: not loaded yet"]}' if how == "slow" else b"{}"
        self.send_response(503 if how == "slow" else 200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

starts = open(journal).read().count(f"{name} starts")
import os
note(f"starts {os.getpid()}")
if how == "frail" and starts < 2:
    sys.exit(3)
stopping = Stopping()
stopping.with_parent(0.3 if how == "deaf" else 20)
with stopping.on_signals():
    server = HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        note("was told: " + (stopping.wait(60) or "nothing"))
        if how != "deaf":
            break
time.sleep(0.1)
note("ends")
"""

PARENT = """
import sys
from contanos.service.address import Address
from contanos.service.child import ChildSpec
from contanos.service.children import Children
from contanos.service.stopping import Stopping

script, journal, *rest = sys.argv[1:]
specs = []
for name, port, how in zip(rest[::3], rest[1::3], rest[2::3]):
    command = [sys.executable, script, name, port, journal, how]
    specs.append(ChildSpec(name, command, Address("127.0.0.1", int(port))))
stopping = Stopping()
with stopping.on_signals():
    Children(specs).run(stopping)
"""


class Family:
    """Some children, and where they write what happens to them."""

    def __init__(self, folder: Path, **hows: str) -> None:
        self.script = folder / "child.py"
        self.script.write_text(CHILD)
        self.parent_script = folder / "parent.py"
        self.parent_script.write_text(PARENT)
        self.journal = folder / "journal"
        self.journal.touch()
        self.members = list(zip(hows, free_ports(len(hows)), hows.values(), strict=True))
        self.stopping = Stopping()

    def specs(self) -> list[ChildSpec]:
        return [
            ChildSpec(
                name,
                [sys.executable, str(self.script), name, str(port), str(self.journal), how],
                Address("127.0.0.1", port),
            )
            for name, port, how in self.members
        ]

    @contextmanager
    def running(self, grace: float = 20) -> Iterator[None]:
        thread = threading.Thread(target=Children(self.specs(), grace).run, args=(self.stopping,))
        thread.start()
        try:
            yield
        finally:
            self.stopping.ask("the test")
            thread.join()

    def parent(self) -> "subprocess.Popen[str]":
        members = [str(each) for member in self.members for each in member]
        return subprocess.Popen(
            [sys.executable, self.parent_script, self.script, self.journal, *members],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self) -> list[str]:
        return self.journal.read_text().splitlines()

    def pids(self) -> list[int]:
        return [int(each.split()[2]) for each in self.lines() if " starts " in each]


def until(true: Callable[[], object], timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


class Said:
    """What reached the terminal so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out, self.err = "", ""

    def __call__(self, words: str) -> bool:
        new = self._capsys.readouterr()
        self.out, self.err = self.out + new.out, self.err + new.err
        return words in self.out + self.err


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


def test_a_child_that_ends_is_named_and_started_again(tmp_path: Path, said: Said) -> None:
    family = Family(tmp_path, yolox="frail")
    with family.running():
        until(lambda: said("yolox is ready: http://127.0.0.1:"))
        first, second, _third = family.pids()
        assert said.err == (
            f"yolox (pid {first}) ended with exit status 3; starting it again in 0.1 s\n"
            f"yolox (pid {second}) ended with exit status 3; starting it again in 0.2 s\n"
        )


def test_a_child_that_is_killed_is_named_at_once(tmp_path: Path, said: Said) -> None:
    family = Family(tmp_path, yolox="well")
    with family.running():
        until(lambda: said("yolox is ready"))
        os.kill(family.pids()[0], signal.SIGKILL)
        started = time.monotonic()
        until(lambda: said("was killed by SIGKILL"))
        assert time.monotonic() - started < 0.5
        until(lambda: len(family.pids()) == 2)


def test_a_child_that_is_not_ready_is_spoken_of(
    tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contanos.service.child._PATIENCE", 0.3)
    with Family(tmp_path, yolox="slow").running():
        until(lambda: said("is not ready yet: model: not loaded yet"))
        assert "is ready:" not in said.out


def test_they_end_one_after_another_in_the_order_of_the_flow(tmp_path: Path, said: Said) -> None:
    family = Family(tmp_path, backend="well", yolox="well", annotation="well")
    parent = family.parent()
    until(lambda: len(family.pids()) == 3)
    assert [parent.stdout.readline() for _ in range(3)]  # type: ignore[union-attr]
    parent.send_signal(signal.SIGTERM)
    out, err = parent.communicate(timeout=20)
    assert (parent.returncode, out, err) == (0, "stopping (SIGTERM)\n", "")
    assert [line for line in family.lines() if " starts " not in line] == [
        f"{name} {what}"
        for name in ("backend", "yolox", "annotation")
        for what in ("was told: SIGTERM", "ends")
    ]


def test_a_terminals_ctrl_c_reaches_the_parent_alone(tmp_path: Path, said: Said) -> None:
    family = Family(tmp_path, yolox="well")
    with family.running():
        until(family.pids)
        assert os.getpgid(family.pids()[0]) != os.getpgid(0)
        assert os.getsid(family.pids()[0]) != os.getsid(0)


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, said: Said) -> None:
    family = Family(tmp_path, yolox="deaf")
    with family.running(grace=0.3):
        until(lambda: said("yolox is ready"))
    assert said(f"yolox (pid {family.pids()[0]}): not stopped in 0.3 s; killed")
    assert not psutil.pid_exists(family.pids()[0])


def test_asked_twice_it_does_not_wait(tmp_path: Path, said: Said) -> None:
    family = Family(tmp_path, backend="deaf", yolox="deaf")
    started = time.monotonic()
    with family.running():
        until(lambda: said("backend is ready") and said("yolox is ready"))
        family.stopping.ask("Ctrl-C")
    assert said("asked again to stop; killed")
    assert len(family.pids()) == 2
    assert time.monotonic() - started < 10
    assert not any(map(psutil.pid_exists, family.pids()))


@pytest.mark.parametrize("how", ["well", "deaf"])
def test_children_end_with_a_parent_that_is_killed(tmp_path: Path, how: str) -> None:
    family = Family(tmp_path, backend=how, yolox=how)
    parent = family.parent()
    until(lambda: len(family.pids()) == 2)
    children = [psutil.Process(pid) for pid in family.pids()]
    parent.kill()
    parent.communicate()
    gone, left = psutil.wait_procs(children, timeout=10)
    assert (len(gone), left) == (2, [])
    assert sum(" was told: the parent is gone" in line for line in family.lines()) == 2


def test_nothing_is_left_of_them(tmp_path: Path, said: Said) -> None:
    before = set(threading.enumerate()), psutil.Process().num_fds()
    family = Family(tmp_path, backend="well", yolox="frail")
    with family.running():
        until(lambda: said("backend is ready") and said("yolox is ready"))
    assert (set(threading.enumerate()), psutil.Process().num_fds()) == before
    assert not any(map(psutil.pid_exists, family.pids()))
