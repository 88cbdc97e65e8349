"""Where a server is, and what is shown to it."""

import os
import re
from urllib.parse import urlsplit

from contanos.errors import SettingError

SERVER, KEY = "CONTANOS_SERVER", "CONTANOS_API_KEY"

_KEY = re.compile(r"[\x21-\x7e]+")


def server_of(given: str | None) -> str:
    """The beginning of all addresses of a server, without a slash at its end.

    Args:
        given: as a user wrote it; None for `CONTANOS_SERVER`.

    Raises:
        SettingError: it is no such address.

    >>> server_of("https://video.example.org/")
    'https://video.example.org'
    """
    url = (os.environ.get(SERVER, "") if given is None else given).strip().rstrip("/")
    if not url:
        raise SettingError(f"which server? Set {SERVER}, as in {SERVER}=http://127.0.0.1:8000")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingError(f"{url!r} is no server: give it as in http://127.0.0.1:8000")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingError(f"a server's address has no password and no query: set {KEY} instead")
    return url


def key_of(given: str | None) -> str:
    """An API key, or an access token.

    Args:
        given: by a program; None for `CONTANOS_API_KEY`.

    Raises:
        SettingError: there is none, or it cannot be one.
    """
    key = (os.environ.get(KEY, "") if given is None else given).strip()
    if not key:
        raise SettingError(f"no API key: set {KEY}")
    if not _KEY.fullmatch(key):
        raise SettingError("the API key has characters that none has")
    return key
