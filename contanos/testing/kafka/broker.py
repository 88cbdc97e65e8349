"""One Apache Kafka, started and ended by the test or command that needs it."""

import logging
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contanos.errors import BusError
from contanos.testing.kafka.guard import Guard
from contanos.testing.kafka.launch import last_words, launch
from contanos.testing.kafka.ports import free_ports, is_free

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0

_unheard = logging.Logger("a client that waits for its broker", logging.CRITICAL)


class Broker:
    """A single-node Apache Kafka on 127.0.0.1, which keeps its records in one folder.

    May be stopped or killed and started again: port and records stay. Within `with` it runs. It
    ends with the process that started it, however that one ends.

    Args:
        folder: of all its files: records, settings, logs. Made if need be.
        port: to listen on; 0 for one that is free now.
        outlives: whether it goes on when the process that started it has ended.
        settings: lines that are added to `server.properties`; `$port` and `$controller_port` stand
            for its ports.
    """

    def __init__(
        self, folder: Path, port: int = 0, *, outlives: bool = False, settings: str = ""
    ) -> None:
        self.folder = folder.resolve()
        self.port = port or free_ports(1)[0]
        self._outlives = outlives
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def address(self) -> str:
        """Where clients reach it: `127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What `CONTANOS_BUS` is set to."""
        return f"kafka://{self.address}"

    @property
    def pid(self) -> int | None:
        """Of its process; None where none was started, or it was ended."""
        return self._process.pid if self._process else None

    def start(self, seconds: float = _START_SECONDS) -> None:
        """Start it, and wait until it answers.

        Raises:
            MachineError: Java, Maven or Kafka's jars are missing.
            BusError: it ended, or did not answer in time; the message holds its last words. Or the
                port is taken.
        """
        if self._process:
            raise BusError(f"the broker in {self.folder} was started already; stop it first")
        if not is_free(self.port):
            raise BusError(f"port {self.port} is taken: end what listens there, or name another")
        process = self._process = launch(self.folder, self.port, free_ports(1)[0], self._settings)
        try:
            if not self._outlives:
                self._guard = Guard(process.pid)
            self._await_answer(process, time.monotonic() + seconds)
        except BaseException:
            self.kill()
            raise

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """End it as an operator would: what it holds is written first.

        Raises:
            BusError: it had to be killed.
        """
        if not self._process:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired as e:
            raise BusError(
                f"the broker in {self.folder} did not stop within {seconds} s and was killed"
            ) from e
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would: at once (SIGKILL)."""
        if not self._process:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _await_answer(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        client = AdminClient(
            {"bootstrap.servers": self.address, "reconnect.backoff.max.ms": 200}, logger=_unheard
        )
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BusError(
                    f"the broker in {self.folder} ended (status {process.returncode}) before it "
                    f"answered; its last words:\n  {last_words(self.folder)}"
                )
            with suppress(KafkaException):
                if client.list_topics(timeout=0.5).brokers:
                    return
        raise BusError(
            f"the broker in {self.folder} did not answer on {self.address} in time; "
            f"its last words:\n  {last_words(self.folder)}"
        )
