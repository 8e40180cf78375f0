"""Prefect's server, which keeps answering while its SQLite database is locked.

A statement that fails because another transaction holds the database stays in its cursor, and the
cursor in the traceback of the exception. Whoever drops the last reference resets the statement, and
waits for whatever the connection does by then. Where that is the thread of the event loop, and the
connection waits for a transaction of the same loop, nobody gets an answer until SQLite gives up
after a minute (docs/decisions.md). So a statement that fails is reset at once, by the thread that
ran it. Everything else is `prefect server start`.
"""

import sqlite3
import sys
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine


class Cursor(sqlite3.Cursor):
    """A cursor that is closed when its statement fails."""

    def execute(self, *statement: Any) -> Self:
        """Execute a statement."""
        try:
            return super().execute(*statement)
        except sqlite3.Error:
            self.close()
            raise

    def executemany(self, *statement: Any) -> Self:
        """Execute a statement for several rows."""
        try:
            return super().executemany(*statement)
        except sqlite3.Error:
            self.close()
            raise


class Connection(sqlite3.Connection):
    """A connection whose cursors do not outlast a failure."""

    def cursor(self, factory: type[sqlite3.Cursor] = Cursor) -> sqlite3.Cursor:  # type: ignore[override]
        """Return a cursor that is closed when its statement fails."""
        return super().cursor(factory)


def use_connection(dialect: Dialect, _: object, __: object, options: dict[str, Any]) -> None:
    """Have SQLAlchemy open SQLite with such connections."""
    if dialect.name == "sqlite":
        options["factory"] = Connection


def main() -> None:
    """Start the server with the options of `prefect server start`."""
    from prefect.cli import app

    event.listen(Engine, "do_connect", use_connection)
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    app()


if __name__ == "__main__":
    main()
