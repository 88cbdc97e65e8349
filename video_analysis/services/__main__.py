"""`python -m video_analysis.services`, and `start_services.py`: services from the command line.

Exit status: 0 after Ctrl-C or SIGTERM, 1 where a service died for good, 2 where an option, a
setting or the machine was the reason.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from dotenv import dotenv_values

from contanos.errors import ContanosError, SettingError
from contanos.service.logs import log_to_stderr
from video_analysis.services.here import Services
from video_analysis.services.launch import launch, listing
from video_analysis.settings import Settings, read_settings

PROGRAM = "start_services.py"
UNUSABLE = 2

Which = Literal["all", "backend", "yolox", "rtmpose", "bytetrack", "annotation"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def start(
    which: Annotated[Which, typer.Argument(help="All services, or one.")] = "all",
    show: Annotated[
        bool, typer.Option("--list", help="Print services and ports, and end.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    bus: Annotated[
        str | None, typer.Option(help="kafka://host:port, or memory://; instead of CONTANOS_BUS.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes of each service, 10 ports apart.")
    ] = 1,
    env_file: Annotated[
        Path | None,
        typer.Option(help="File of KEY=VALUE lines; what the environment has already wins."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of a single service.")] = None,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start services: over Kafka one process each; on memory:// all in this process."""
    if show:
        typer.echo(listing())
        return
    try:
        _to_environment(env_file, bus)
        settings = read_settings()
        log_to_stderr(settings.log_level)
        status = launch(which, settings, _assemble, host, port, workers, supervised)
    except ContanosError as e:
        # What a process that is one of several says has to say whose it is.
        print(f"{which if supervised else PROGRAM}: {e}", file=sys.stderr)
        status = UNUSABLE
    raise typer.Exit(status)


def main() -> None:
    """The command."""
    app(prog_name=PROGRAM)


def _to_environment(env_file: Path | None, bus: str | None) -> None:
    """Where settings are read from, here and in the processes that we start."""
    if env_file:
        for key, value in _read(env_file).items():
            os.environ.setdefault(key, value or "")
    if bus:
        os.environ["CONTANOS_BUS"] = bus


def _read(env_file: Path) -> dict[str, str | None]:
    try:
        with env_file.open(encoding="utf-8") as lines:
            return dotenv_values(stream=lines)
    except (OSError, UnicodeDecodeError) as e:
        raise SettingError(f"--env-file {env_file} cannot be read: {e}") from e


def _assemble(names: Sequence[str], settings: Settings) -> Services:
    from video_analysis.services.worker import assemble  # what it imports takes seconds

    return assemble(names, settings)


if __name__ == "__main__":
    main()
