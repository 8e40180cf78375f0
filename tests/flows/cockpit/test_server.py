"""The server keeps answering while its database is locked."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from flows.cockpit.server import Connection, use_connection

INSERT = "INSERT INTO numbers VALUES (?)"


@pytest.fixture
def locked(tmp_path):
    """The path of a database that another connection holds."""
    path = tmp_path / "numbers.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE numbers (number INTEGER)")
        holder.execute("BEGIN IMMEDIATE")
        yield path


@pytest.mark.parametrize(("method", "values"), [("execute", (1,)), ("executemany", [(1,), (2,)])])
def test_a_statement_that_fails_is_reset_at_once(locked, method, values):
    with closing(sqlite3.connect(locked, timeout=0, factory=Connection)) as connection:
        cursor = connection.cursor()
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            getattr(cursor, method)(INSERT, values)
        with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
            cursor.fetchone()


def test_the_engine_of_the_server_opens_such_connections(tmp_path):
    async def connection():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'numbers.db'}")
        async with engine.connect() as opened:
            kind = type((await opened.get_raw_connection()).driver_connection._conn)
            one = (await opened.exec_driver_sql("SELECT 1")).scalar()
        await engine.dispose()
        return kind, one

    assert asyncio.run(connection()) == (sqlite3.Connection, 1)
    event.listen(Engine, "do_connect", use_connection)
    try:
        assert asyncio.run(connection()) == (Connection, 1)
    finally:
        event.remove(Engine, "do_connect", use_connection)
