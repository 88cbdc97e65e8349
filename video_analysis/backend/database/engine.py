"""Opens the database: SQLite by default, PostgreSQL by URL."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from contanos.errors import MachineError, SettingError
from video_analysis.backend.database.migrate import migrate

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_WAIT = 30.0  # seconds that a writer waits for another one
_POOL = 8
_READS = "reads"  # an execution option; sessions have it too
_READERS = 2  # threads that read SQLite

Found = TypeVar("Found")


class Database:
    """Sessions on one database. Belongs to the event loop that first uses it.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.

    Raises:
        SettingError: it is neither.
        MachineError: the driver for it is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = driven(url)
        options: dict[str, Any] = {} if self.sqlite else _POSTGRESQL
        try:
            self._engine = create_async_engine(self.url, **options)
        except ModuleNotFoundError as e:
            raise MachineError(f"{e.name} is missing: pip install 'contanos[postgresql]'") from e
        self._readers = self._open_readers() if self.sqlite else None
        self._turns: CapacityLimiter | None = None
        if self.sqlite:
            _listen(self._engine.sync_engine)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @property
    def sqlite(self) -> bool:
        """Whether it is a file of ours."""
        return self.url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Bring the tables up to date; several processes may do so at once.

        Raises:
            SettingError: the database cannot be reached, or was made by a newer version.
        """
        if self.sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(migrate)
        except (OSError, SQLAlchemyError) as e:
            shown = self.url.render_as_string(hide_password=True)
            raise SettingError(f"cannot use the database {shown}: {e}") from e

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes count once the block has ended well."""
        async with self._sessions() as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that changes nothing, and waits for nobody who does."""
        async with self._sessions() as session:
            session.info[_READS] = True
            await session.connection(execution_options={_READS: True})
            yield session

    async def read(self, ask: Callable[[Session], Found]) -> Found:
        """What `ask` finds, which changes nothing, and waits for nobody who does.

        For what is asked again and again: on SQLite all of it is one step of another thread, where
        `reading` is many, each of which waits for a busy processor.
        """
        if self._readers is None:
            async with self.reading() as session:
                return await session.run_sync(ask)
        self._turns = self._turns or CapacityLimiter(_READERS)
        return await to_thread.run_sync(self._read, ask, limiter=self._turns)

    async def close(self) -> None:
        """Release all connections."""
        await self._engine.dispose()
        if self._readers:
            self._readers.kw["bind"].dispose()

    def _open_readers(self) -> sessionmaker[Session]:
        engine = create_engine(
            self.url.set(drivername="sqlite"), execution_options={_READS: True}, pool_size=_READERS
        )
        _listen(engine)
        return sessionmaker(engine, expire_on_commit=False)

    def _read(self, ask: Callable[[Session], Found]) -> Found:
        assert self._readers
        with self._readers() as session:
            return ask(session)


async def _connect(*args: Any, **kwargs: Any) -> Any:
    """To PostgreSQL. One that is away, or still starting, is told as any error of a database is.

    Raises:
        OperationalError: it is.
    """
    import asyncpg

    try:
        return await asyncpg.connect(*args, **kwargs)
    except (OSError, asyncpg.PostgresError) as e:
        raise OperationalError("connect", None, e) from e


_POSTGRESQL = {
    "pool_size": _POOL,
    "pool_pre_ping": True,
    "connect_args": {"async_creator_fn": _connect},
}


def driven(url: str) -> URL:
    """The URL with the driver that we use.

    Raises:
        SettingError: no database of ours has such a URL.
    """
    try:
        made = make_url(url)
    except ArgumentError as e:
        raise SettingError(f"not the URL of a database: {e}") from e
    name = made.get_backend_name()
    if name not in _DRIVERS:
        raise SettingError(
            f"{name} is no database of ours: use sqlite:///path or postgresql://host/name"
        )
    return made.set(drivername=_DRIVERS[name])


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Readers do not wait for writers, and what is committed survives a power cut."""
    connection.isolation_level = None  # we begin transactions, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute(f"PRAGMA busy_timeout={int(_WAIT * 1000)}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    """Writers are that from the start: one that became it later could not wait for another."""
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
