"""Starts the Java of one broker in a folder that holds all its files."""

import base64
import re
import subprocess
import uuid
from pathlib import Path
from string import Template

from contanos.errors import BusError
from contanos.testing.java import java
from contanos.testing.kafka.jars import jars

_JAVA_LOG = "java.log"
_BROKER_LOG = "broker.log"
_COMPLAINT = re.compile(r" (ERROR|FATAL) |^(Caused by: )?[\w.]+(Exception|Error): ")
_HEAP = "512m"
_HERE = Path(__file__).parent
_FORMATTED = Path("data", "meta.properties")


def launch(
    folder: Path, port: int, controller_port: int, settings: str = ""
) -> subprocess.Popen[bytes]:
    """A broker on its way up; it answers once it has read what is in its folder.

    It is in a session of its own, so Ctrl-C in a terminal does not reach it: who started it decides
    when it goes.

    Raises:
        MachineError: Java is missing or too old, or Kafka could not be fetched.
        BusError: the folder could not be formatted.
    """
    _configure(folder, settings, port=port, controller_port=controller_port)
    if not (folder / _FORMATTED).exists():
        _format(folder)
    with (folder / _JAVA_LOG).open("ab") as said:
        return subprocess.Popen(
            [*_java(folder), "kafka.Kafka", "server.properties"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def mark(folder: Path) -> str:
    """The argument by which the process of this folder's broker is known."""
    return f"-Dcontanos.broker={folder.resolve()}"


def last_words(folder: Path) -> str:
    """The last complaints of the broker, and the end of what its Java wrote."""
    complaints = [line for line in _lines(folder / _BROKER_LOG) if _COMPLAINT.search(line)]
    return "\n  ".join([*complaints[-5:], *_lines(folder / _JAVA_LOG)[-5:]])


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []


def _configure(folder: Path, more: str, **ports: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = Template((_HERE / "server.properties").read_text("utf-8") + more)
    text = settings.substitute(ports)
    (folder / "server.properties").write_text(text, "utf-8")
    (folder / "log4j2.properties").write_bytes((_HERE / "log4j2.properties").read_bytes())


def _format(folder: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # With "=", since an id may begin with a dash.
    options = ["format", f"--cluster-id={cluster}", "--config", "server.properties"]
    done = subprocess.run(
        [*_java(folder), "kafka.tools.StorageTool", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise BusError(f"{folder} could not be formatted for Kafka, remove it:\n  {said}")


def _java(folder: Path) -> list[str]:
    return [
        java(),
        f"-Xmx{_HEAP}",
        # With one or two cores, other collectors and the second compiler only take workers' time.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dlog4j2.configurationFile=log4j2.properties",
        mark(folder),
        "--class-path",
        str(jars() / "*"),
    ]
