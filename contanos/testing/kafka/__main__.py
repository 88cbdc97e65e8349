"""`python -m contanos.testing.kafka start|stop`: see `make kafka`.

Prints one line for a shell or a file of settings, and all else beside it, to stderr.
"""

import argparse
import sys
from pathlib import Path

from contanos.errors import ContanosError
from contanos.testing.kafka import background
from contanos.testing.kafka.jars import kafka_version

_FOLDER = Path("out", "kafka")


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m contanos.testing.kafka", description=__doc__)
    parser.add_argument("command", choices=["start", "stop"])
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="of all its files")
    given = parser.parse_args()
    try:
        _start(given.folder) if given.command == "start" else _stop(given.folder)
    except ContanosError as e:
        _tell(str(e))
        return 1
    return 0


def _start(folder: Path) -> None:
    found = background.running(folder)
    if found:
        _tell(f"Apache Kafka {kafka_version()} runs already, its files in {folder}")
    else:
        _tell(f"starting Apache Kafka {kafka_version()}, its files in {folder} ...")
        found = background.start(folder)
    print(f"CONTANOS_BUS=kafka://127.0.0.1:{found.port}")


def _stop(folder: Path) -> None:
    stopped = background.stop(folder)
    _tell(f"stopped the Kafka in {folder}" if stopped else f"no Kafka runs in {folder}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
