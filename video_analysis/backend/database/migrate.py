"""Brings the tables of a database up to date, by Alembic."""

from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7_203_551  # any number, the same everywhere: PostgreSQL's name for our turn


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run what is missing, within the connection's transaction; one process at a time.

    Raises:
        CommandError: the database is of a newer version than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    script = scripts()

    def steps(current: str, context: MigrationContext) -> object:
        return script._upgrade_revs(revision, current)

    with EnvironmentContext(_config(), script, fn=steps) as environment:
        environment.configure(connection=connection, render_as_batch=True)
        environment.run_migrations()


def scripts() -> ScriptDirectory:
    """All migrations."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
