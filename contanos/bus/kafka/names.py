"""What things are called on the brokers.

A namespace keeps several installations apart on one cluster. `.` joins the parts: no stage, task or
namespace has one, so names of two namespaces never meet.
"""

import re
from urllib.parse import urlsplit

from contanos.errors import SettingError

_NAME = re.compile(r"[0-9A-Za-z_-]{1,180}")
_NAMESPACE = re.compile(r"[0-9a-z-]{0,40}")
_TASK_ID = "[0-9a-z][0-9a-z-]*"


class Names:
    """The names of one namespace.

    Raises:
        SettingError: the namespace has other characters than a-z, 0-9 and '-', or over 40.
    """

    def __init__(self, namespace: str) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise SettingError(
                f"namespace {namespace!r} of the Kafka bus: use up to 40 of a-z, 0-9 and '-'"
            )
        self._start = f"{namespace}." if namespace else ""

    def topic(self, name: str) -> str:
        """Of a topic."""
        if not _NAME.fullmatch(name):
            raise SettingError(f"name {name!r} on the bus: use up to 180 letters, digits, _ and -")
        return f"{self._start}{name}"

    def group(self, name: str) -> str:
        """Of a group of consumers."""
        return f"{self._start}{name}"

    def states(self, name: str) -> str:
        """Of the topic that holds the states of a topic's readers."""
        return f"{self.topic(name)}.states"

    def table(self, name: str) -> str:
        """Of the topic that holds a table."""
        return f"{self.topic(name)}.table"

    def local(self, topic: str) -> str:
        """What callers know a broker's topic as."""
        return topic.removeprefix(self._start)

    def pattern(self, prefix: str) -> str:
        """The regular expression of the topics that start with `prefix`, for a subscription."""
        return f"^{self.topic(prefix).replace('.', '[.]')}{_TASK_ID}$"


def parse_url(url: str) -> tuple[str, str]:
    """The brokers' addresses and the namespace in a URL.

    Raises:
        SettingError: no address, or a user's name and password, which belong into the settings.

    >>> parse_url("kafka://one:9092,two:9092/vienna")
    ('one:9092,two:9092', 'vienna')
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise SettingError("the bus's URL names a user; give name and password as settings instead")
    if not parts.netloc or parts.query or parts.fragment:
        raise SettingError(f"bus {url!r}: write kafka://host:port[,host:port][/namespace]")
    return parts.netloc, parts.path.strip("/")
