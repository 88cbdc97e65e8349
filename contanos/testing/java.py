"""The Java and the Maven of this machine, which Apache Kafka needs."""

import shutil
import subprocess

from contanos.errors import MachineError

LEAST_JAVA = 17
"""The oldest Java that Kafka 4 runs on."""

JAVA_PACKAGE = "default-jre-headless"
MAVEN_PACKAGE = "maven"


def java() -> str:
    """The path of a Java that runs Kafka.

    Raises:
        MachineError: there is none, or it is too old.
    """
    if not (found := shutil.which("java")):
        raise MachineError(_missing(f"Java {LEAST_JAVA} or newer", JAVA_PACKAGE))
    if java_release(line := java_version(found)) < LEAST_JAVA:
        raise MachineError(
            f"Kafka needs Java {LEAST_JAVA} or newer, and {found} is {line!r}; "
            f"on Debian: apt-get install {JAVA_PACKAGE}"
        )
    return found


def maven() -> str:
    """The path of Maven.

    Raises:
        MachineError: there is none.
    """
    if not (found := shutil.which("mvn")):
        raise MachineError(_missing("Maven", MAVEN_PACKAGE))
    return found


def java_version(java: str) -> str:
    """The first line of what `java -version` says."""
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    return (answer.stderr or answer.stdout).partition("\n")[0]


def java_release(line: str) -> int:
    """The number of the release in that line; 0 where it names none.

    >>> java_release('openjdk version "17.0.15" 2025-04-15')
    17
    >>> java_release('java version "1.8.0_392"')
    1
    """
    digits = line.partition('"')[2].partition('"')[0].partition(".")[0].partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _missing(what: str, package: str) -> str:
    return f"{what} is needed to run Apache Kafka; on Debian: apt-get install {package}"
