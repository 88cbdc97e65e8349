"""What the commands for a server have in common: which one it is, in whose name, Ctrl-C."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from contanos.errors import SettingError

if TYPE_CHECKING:
    from contanos.client import Client

INTERRUPTED = 130


def _refuse_key(given: str | None) -> None:
    if given is not None:
        raise SettingError(
            "a key on the command line is seen by everybody on this machine: "
            "set CONTANOS_API_KEY, or use `contanos login`; and make a new key"
        )


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="As in http://127.0.0.1:8000; by default CONTANOS_SERVER, or where you logged in.",
    ),
]
NoKey = Annotated[str | None, typer.Option("--api-key", "--key", hidden=True, callback=_refuse_key)]
TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.")]


def client_of(server: str | None, patience: float = 10.0) -> "Client":
    """A client in the user's name.

    Args:
        server: as it was given on the command line.
        patience: seconds for which what failed is tried again.

    Raises:
        SettingError: it is not known which server, or in whose name.
    """
    from contanos.client import Client  # a quarter of a second, for those who need it
    from video_analysis.cli.credentials import credentials_for

    return Client(*credentials_for(server), patience=patience)


@contextmanager
def interruptible(says: str) -> Iterator[None]:
    """On Ctrl-C says what becomes of it, and leaves with the exit status of that."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\ncontanos: {says}", err=True)
        raise typer.Exit(INTERRUPTED) from None
