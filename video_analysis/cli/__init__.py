"""The command line: one file a command.

Exit status: 0 for a complete result, 1 where we failed, 2 where the input, an option or the machine
was the reason, 130 after Ctrl-C.
"""

import logging
import sys

import structlog
import typer
from pydantic import ValidationError

from contanos import __version__
from contanos.errors import ContanosError, SettingError, TaskFailed
from video_analysis.cli import export, models, run
from video_analysis.settings import Settings

app = typer.Typer(
    help="People, poses and identities from video, with proof that no frame was lost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("export")(export.export)
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
        _log_to_stderr(_settings().log_level)
        app()
    except TaskFailed as e:
        _leave(e, FAILED)
    except ContanosError as e:
        _leave(e, UNUSABLE)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as e:
        faults = [f"CONTANOS_{each['loc'][0]}".upper() + f": {each['msg']}" for each in e.errors()]
        raise SettingError("; ".join(faults)) from e


def _leave(reason: object, status: int) -> None:
    print(f"contanos: {reason}", file=sys.stderr)
    sys.exit(status)


def _log_to_stderr(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
