"""One process that is kept alive: started, awaited, reported and started again when it dies."""

import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from contanos.service.address import Address

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds
_HEALTHY = 60.0  # seconds of life after which earlier deaths no longer count
_PATIENCE = 60.0  # seconds after which one that is not ready yet is spoken of, again and again
_LOOK = 0.1  # seconds between two questions whether it is ready
_ANSWER = 5.0  # seconds that an answer may take

# Apart from us, on every system: a terminal's Ctrl-C reaches us alone, who end the others in order.
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process to keep alive.

    Its standard input is a pipe that ends with us, however we end; `Stopping.with_parent` watches
    it.

    Attributes:
        name: how people call it.
        command: the program and its arguments.
        address: where it answers `/ready`.
        environment: of the process; None is ours.
    """

    name: str
    command: Sequence[str]
    address: Address
    environment: Mapping[str, str] | None = None


class Child:
    """Keeps one process alive, on a thread of its own. Safe from any thread once started.

    Args:
        spec: which one.
        say: told what goes as planned.
        warn: told what does not.
    """

    def __init__(self, spec: ChildSpec, say: Say, warn: Say) -> None:
        self.spec = spec
        self._say = say
        self._warn = warn
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=spec.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def retire(self) -> None:
        """From now on, an end is an end: the process is not started again."""
        with self._lock:
            self._stopping.set()

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process:
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once."""
        if self._process:
            self._process.kill()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def called(self) -> str:
        """How messages name it."""
        return f"{self.spec.name} (pid {self._process.pid})" if self._process else self.spec.name

    def join(self) -> None:
        """Return once nothing of it is left; after `retire`, and the end of the process."""
        self._thread.join()

    def _keep(self) -> None:
        deaths = 0
        while process := self._launch():
            started = time.monotonic()
            self._await_ready(process)
            status = process.wait()
            if process.stdin:
                process.stdin.close()
            if self._stopping.is_set():
                return
            deaths = 0 if time.monotonic() - started > _HEALTHY else deaths
            pause = min(_FIRST_PAUSE * 2**deaths, _LONGEST_PAUSE)
            deaths = min(deaths + 1, 20)
            self._warn(f"{self.called} {_ended(status)}; starting it again in {pause:g} s")
            self._stopping.wait(pause)

    def _launch(self) -> "subprocess.Popen[bytes] | None":
        """The process, unless we are to stop."""
        while not self._stopping.is_set():
            try:
                return self._begin()
            except OSError as e:  # such as no memory left for another process
                why = f"cannot be started: {e}; trying again in {_LONGEST_PAUSE:g} s"
                self._warn(f"{self.spec.name} {why}")
                self._stopping.wait(_LONGEST_PAUSE)
        return None

    def _begin(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.PIPE,
                env=self.spec.environment,
                start_new_session=True,
                creationflags=_NEW_GROUP,
            )
            return self._process

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> None:
        speak_at = time.monotonic() + _PATIENCE
        while process.poll() is None and not self._stopping.is_set():
            reasons = _reasons_not_ready(self.spec.address)
            if not reasons:
                self._say(f"{self.spec.name} is ready: {self.spec.address.url}")
                return
            if time.monotonic() > speak_at:
                self._warn(f"{self.called} is not ready yet: {'; '.join(reasons)}")
                speak_at = time.monotonic() + _PATIENCE
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _reasons_not_ready(address: Address) -> list[str]:
    """What `/ready` says; empty once it is."""
    connection = http.client.HTTPConnection(*address.reached, timeout=_ANSWER)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        body = answer.read()
        return [] if answer.status == http.client.OK else _reasons(body)
    except (OSError, http.client.HTTPException) as e:
        return [f"no answer from {address.url}: {e}"]
    finally:
        connection.close()


def _reasons(body: bytes) -> list[str]:
    with suppress(ValueError, TypeError, KeyError):
        return [str(each) for each in json.loads(body)["reasons"]] or ["it does not say why"]
    return [body[:200].decode(errors="replace")]
