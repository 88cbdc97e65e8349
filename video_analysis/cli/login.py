"""`contanos login` and `logout`: a key of one's own on this machine, instead of the environment."""

import getpass
import socket
import sys
from contextlib import suppress
from typing import Annotated

import typer

from contanos.errors import ServerError, SettingError, Unauthorised
from video_analysis.cli.server import NoKey, Server


def login(
    server: Server = None,
    name: Annotated[str | None, typer.Option(help="Of the account; asked for by default.")] = None,
    key: NoKey = None,
) -> None:
    """Make a key on a server, and keep it for later commands; the password is forgotten.

    The password is asked for, or is a line of standard input; never an option, which others see.
    """
    from contanos.client.address import server_of
    from contanos.client.login import make_key, revoke_key
    from video_analysis.cli.credentials import Credentials, keep_credentials, read_credentials

    place, before = server_of(server), read_credentials()
    who = name or typer.prompt("name", err=True)
    made = make_key(place, who, _password(), f"contanos on {socket.gethostname()}")
    keep_credentials(Credentials(place, made))
    if before:
        with suppress(ServerError):  # it may be gone with its server
            revoke_key(before.server, before.key)
    typer.echo(f"{place}: logged in as {who}")


def logout() -> None:
    """Have the server revoke the key that `login` made, and forget it."""
    from contanos.client.login import revoke_key
    from video_analysis.cli.credentials import forget_credentials, read_credentials

    kept = read_credentials()
    if kept is None:
        raise SettingError("you are not logged in")
    with suppress(Unauthorised):  # it was revoked already
        revoke_key(kept.server, kept.key)
    forget_credentials()
    typer.echo(f"{kept.server}: logged out")


def _password() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("password: ")
    return sys.stdin.readline().rstrip("\r\n")
