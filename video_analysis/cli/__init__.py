"""The command line: one file a command.

Exit status: 0 for a complete result, 1 where we failed, 2 where the input, an option or the machine
was the reason, 130 after Ctrl-C.
"""

import sys

import typer

from contanos import __version__
from contanos.errors import ContanosError, ServerFailed, TaskFailed
from contanos.service.logs import log_to_stderr
from video_analysis.cli import export, fetch, login, models, run, submit, tasks
from video_analysis.settings import read_settings

app = typer.Typer(
    help="People, poses and identities from video, with proof that no frame was lost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("export")(export.export)
app.command("submit")(submit.submit)
app.command("status")(tasks.status)
app.command("watch")(tasks.watch)
app.command("fetch")(fetch.fetch)
app.command("cancel")(tasks.cancel)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(models.app, name="models")

FAILED, UNUSABLE = 1, 2


@app.command()
def doctor() -> None:
    """Say what this machine can run and what is missing."""
    from video_analysis.cli.doctor import examine

    examine()


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Options before the command."""
    if version:
        typer.echo(f"contanos {__version__}")
        raise typer.Exit


def main() -> None:
    """The command `contanos`; turns errors into one line and an exit status."""
    try:
        log_to_stderr(read_settings().log_level)
        app()
    except (TaskFailed, ServerFailed) as e:
        _leave(e, FAILED)
    except ContanosError as e:
        _leave(e, UNUSABLE)


def _leave(reason: object, status: int) -> None:
    print(f"contanos: {reason}", file=sys.stderr)
    sys.exit(status)
