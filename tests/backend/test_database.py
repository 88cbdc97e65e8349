"""Both databases: the same tables, the same behaviour, two processes at once."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError, StatementError

from contanos.errors import SettingError
from video_analysis.backend.database.engine import Database, driven
from video_analysis.backend.database.tables import Table, Upload, User

pytestmark = pytest.mark.anyio


def someone(name: str) -> User:
    return User(name=name, password="-", role="user")


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Table.metadata))

    async with database._engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_several_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    several = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in several))
    async with several[0].transaction() as session:
        session.add(someone("ada"))
    async with several[3].reading() as session:
        assert await session.scalar(select(User.name)) == "ada"
    for each in several:
        await each.close()


async def test_times_keep_their_meaning(database: Database) -> None:
    there = datetime(2026, 11, 24, 6, 30, tzinfo=timezone(timedelta(hours=2)))
    async with database.transaction() as session:
        session.add(User(name="ada", password="-", role="user", created=there))
    async with database.reading() as session:
        found = await session.scalar(select(User.created))
    assert found == there
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="no time zone"):
        async with database.transaction() as session:
            session.add(User(name="bob", password="-", role="user", created=datetime(2026, 1, 1)))


async def test_large_numbers_and_cascades(database: Database) -> None:
    async with database.transaction() as session:
        ada = someone("ada")
        session.add(ada)
        await session.flush()
        session.add(Upload(user_id=ada.id, label="long", state="receiving", bytes=2**40))
    async with database.transaction() as session:
        assert await session.scalar(select(Upload.bytes)) == 2**40
        await session.delete(await session.get(User, ada.id))
    async with database.reading() as session:
        assert await session.scalar(select(Upload)) is None


async def test_what_fails_leaves_nothing(database: Database) -> None:
    async with database.transaction() as session:
        session.add(someone("ada"))
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add_all([someone("bob"), someone("ada")])
    async with database.reading() as session:
        assert (await session.scalars(select(User.name))).all() == ["ada"]


async def test_writers_wait_for_each_other_and_readers_for_nobody(database: Database) -> None:
    async def count(times: int) -> None:
        for _ in range(times):
            async with database.transaction() as session:
                user = await session.scalar(select(User).with_for_update())
                assert user
                user.quota_tasks = (user.quota_tasks or 0) + 1

    async with database.transaction() as session:
        session.add(someone("ada"))
    async with database.reading() as reader:
        await reader.scalar(select(User.quota_tasks))
        await asyncio.gather(*(count(10) for _ in range(4)))
    async with database.reading() as session:
        assert await session.scalar(select(User.quota_tasks)) == 40


@pytest.mark.parametrize("url", ["mysql://h/d", "not a url", "kafka://h:1"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(SettingError, match="database"):
        driven(url)


async def test_one_that_is_not_there_is_said_without_its_password() -> None:
    absent = Database("postgresql://ada:analytical@127.0.0.1:9/none")
    with pytest.raises(SettingError, match="cannot use the database") as told:
        await absent.open()
    assert "analytical" not in str(told.value)
    await absent.close()
