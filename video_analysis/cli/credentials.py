"""Where `contanos login` keeps what lets the other commands in."""

import os
from pathlib import Path

import msgspec
from platformdirs import user_config_path

from contanos.client.address import KEY, SERVER, key_of, server_of
from contanos.client.login import NewKey
from contanos.disk import as_output_error, remove, whole_file
from contanos.errors import SettingError


class Credentials(msgspec.Struct, frozen=True):
    """A server, and a key for it.

    Attributes:
        server: its address.
        key: which was made by `contanos login`.
    """

    server: str
    key: NewKey


def credentials_file() -> Path:
    """Only its user may read it."""
    return user_config_path("contanos") / "server.json"


def credentials_for(given: str | None) -> tuple[str, str]:
    """A server's address, and what to show to it.

    Args:
        given: on the command line, which comes before the environment and that before a login.
            The key of a login is shown to its own server only.

    Raises:
        SettingError: one of them is not known.
    """
    named, told = given or os.environ.get(SERVER), os.environ.get(KEY)
    if named and told:
        return server_of(given), key_of(None)
    kept = read_credentials()
    server = kept.server if kept and not named else server_of(given)
    if told:
        return server, key_of(None)
    if kept and kept.server == server:
        return server, kept.key.key
    raise SettingError(f"no key for {server}: set {KEY}, or use `contanos login`")


def read_credentials() -> Credentials | None:
    """Those of the last login; None where there are none.

    Raises:
        SettingError: they cannot be read.
    """
    path = credentials_file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as e:
        raise SettingError(f"{path} cannot be read ({e}): remove it, and log in again") from e


def keep_credentials(credentials: Credentials) -> None:
    """For later commands of this user.

    Raises:
        OutputError: they cannot be written.
    """
    path = credentials_file()
    with as_output_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, as_output_error(path):
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(credentials))


def forget_credentials() -> None:
    """Later commands need to be told."""
    remove(credentials_file())
