"""Brings the Apache Kafka that `pom.xml` names to this machine, with Maven.

Kept in the user's cache beside the models. Two processes at once fetch once: the second waits for
the first one's lock. Once there, neither Maven nor a network is asked again.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import structlog
from filelock import FileLock

from contanos.errors import MachineError, OutputError
from contanos.models.fetch import cache_dir
from contanos.testing.java import maven

log = structlog.get_logger(__name__)

POM = Path(__file__).with_name("pom.xml")


def kafka_version() -> str:
    """Of the Apache Kafka that is pinned.

    >>> kafka_version().partition(".")[0]
    '4'
    """
    pom = ElementTree.parse(POM)
    found = pom.findtext("{*}properties/{*}kafka.version")
    assert found is not None
    return found


def jars() -> Path:
    """The folder with Kafka's jars and all that they need, fetched if it is not there yet.

    Raises:
        MachineError: Maven is missing, or could not deliver them; the message holds its words.
        OutputError: the cache folder cannot be written.
    """
    folder = _folder()
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                _fetch(folder)
    except OSError as e:
        raise OutputError(
            f"cannot write {folder.parent}: {e}; set CONTANOS_CACHE_DIR elsewhere"
        ) from e
    return folder


def _folder() -> Path:
    """Named by the version, and by all that the pom says: another pom never meets old jars."""
    pinned = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return cache_dir() / f"kafka-{kafka_version()}-{pinned}"


def _fetch(folder: Path) -> None:
    log.info("fetching Apache Kafka with Maven, once", version=kafka_version())
    with TemporaryDirectory(dir=folder.parent, prefix=".kafka-") as scratch:
        work = Path(scratch)
        pom = shutil.copy(POM, work)  # Maven may write beside it
        _run_maven(Path(pom), work / "jars")
        (work / "jars").rename(folder)


def _run_maven(pom: Path, target: Path) -> None:
    command = [maven(), "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom)]
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    done = subprocess.run([*command, *goal], capture_output=True, text=True, check=False)
    if done.returncode or not target.is_dir():
        last = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise MachineError(
            f"Maven could not deliver Apache Kafka {kafka_version()}:\n  {last}\n"
            f"See that Maven reaches its repository, or copy the folder {_folder()} "
            "from a machine that has it"
        )
