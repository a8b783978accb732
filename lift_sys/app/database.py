"""A database that the processes of a study share: SQLite on one machine, PostgreSQL on many.

Owns the tables beside Optuna's and every statement on them:

    lift_files    whole texts of a study, e.g. its configuration, by name
    lift_rows     one executed task each
    lift_calls    one generated answer each
    lift_ledger   what each generated answer cost, or can cost while it is generated
    lift_spent    what each phase has spent: the sums of the ledger
    lift_leases   who makes what, and until when by the clock of the database

A password of the address appears in no message, wherever in it it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from lift_sys.errors import ConfigError, StoreError

METADATA = sa.MetaData()

FILES = sa.Table(
    "lift_files",
    METADATA,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)


def _entries(name: str) -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("study", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )


ROWS = _entries("lift_rows")
CALLS = _entries("lift_calls")

LEDGER = sa.Table(
    "lift_ledger",
    METADATA,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("usd", sa.Double, nullable=False),
    sa.Column("holder", sa.Text),  # of the lease of who reserved it; none once it is spent
    sa.Column("charged", sa.Boolean, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("lift_ledger_reserved", "study", "holder"),
)

SPENT = sa.Table(
    "lift_spent",
    METADATA,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("begun", sa.Double, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("usd", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
)

LEASES = sa.Table(
    "lift_leases",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)

_CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())::float8",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
"""Seconds since 1970 by the clock of the database, which all its users share."""

_SECRET = re.compile("pass|secret|key", re.IGNORECASE)
"""Names of options in an address whose values appear in no message."""

_MASK = "..."

_MADE_AT_ONCE = 5
"""Most times that tables are made again because other processes make them at the same moment."""


class Database:
    """An open database.

    Args:
        url: As SQLAlchemy writes it, e.g. ``postgresql://user@host/name`` or ``sqlite:///file``.

    Raises:
        ConfigError: It is no such address, or of a database that is not supported.
        StoreError: The database does not answer.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self.dialect = self._url.get_backend_name()
        try:
            self._engine = _engine(self._url)
        except ModuleNotFoundError as error:
            msg = f"the storage {self} needs {error.name}: pip install 'lift-sys[postgres]'"
            raise ConfigError(msg) from error
        except (sa.exc.ArgumentError, ValueError) as error:
            raise self._unusable(error) from error
        self.now: sa.ColumnElement[float] = sa.literal_column(_CLOCKS[self.dialect], sa.Double)
        self._make_tables()

    def __str__(self) -> str:
        secrets = {key: _MASK for key in self._url.query if _SECRET.search(key)}
        return self._url.update_query_dict(secrets).render_as_string(hide_password=True)

    @property
    def url(self) -> str:
        """The whole address, its password included: for Optuna, never for a message."""
        return self._url.render_as_string(hide_password=False)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection for statements that change nothing, and lock nothing.

        Raises:
            StoreError: The database does not answer.
        """
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise self.lost(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection whose statements hold together.

        Raises:
            StoreError: The database does not answer; nothing of it holds.
        """
        try:
            with self._engine.begin() as connection:
                if self.dialect == "sqlite":
                    # The clock must be read once the file is locked, not before the wait for it.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise self.lost(error) from error

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """Return an insertion that can say what to do about a row that is there already."""
        if self.dialect == "postgresql":
            return postgresql.insert(table)
        return sqlite.insert(table)

    def lost(self, error: Exception) -> StoreError:
        """Return what to raise where the database did not answer."""
        return StoreError(
            f"the storage {self} does not answer ({_reason(error)}); nothing that was stored is "
            "lost: see that it runs and start the same command again"
        )

    def close(self) -> None:
        """Give its connections back."""
        self._engine.dispose()

    def _unusable(self, error: Exception) -> ConfigError:
        return ConfigError(f"the storage {self} cannot be used: {_reason(error)}")

    def _make_tables(self) -> None:
        for left in reversed(range(_MADE_AT_ONCE)):
            try:
                METADATA.create_all(self._engine)
                if self.dialect == "sqlite":
                    with self.reading() as connection:  # those who read need not wait for others
                        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            except (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.OperationalError) as e:
                if left == 0 or not _made_meanwhile(e):
                    raise self.lost(e) from e
            except sa.exc.DatabaseError as error:
                raise self._unusable(error) from error
            else:
                return


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    # Transactions are begun here, not by the driver, which would begin them without a lock.
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 30})


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _made_meanwhile(error: sa.exc.DBAPIError) -> bool:
    return "exists" in str(error.orig) or isinstance(error, sa.exc.IntegrityError)


def _parsed(url: str) -> sa.URL:
    """Return an address of a database that many processes can share.

    What it says of an address that cannot be read repeats nothing of it: it may be a password.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        msg = "the storage is not an address like postgresql://user@host/name or sqlite:///file"
        raise ConfigError(msg) from error
    if "@" in (parsed.host or ""):
        msg = "the storage has a second @ before its host; write one of a user or password as %40"
        raise ConfigError(msg)
    name = parsed.get_backend_name()
    if name not in _CLOCKS:
        msg = f"a study can be shared in postgresql or sqlite, not in {name!r}"
        raise ConfigError(msg)
    if name == "sqlite" and parsed.database in {None, "", ":memory:"}:
        msg = "a SQLite storage needs a file, as in sqlite:///study.db"
        raise ConfigError(msg)
    if name == "sqlite" and parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        msg = f"a SQLite storage begins with sqlite:///, not with {parsed.drivername}:///"
        raise ConfigError(msg)
    return parsed.set(drivername="postgresql+psycopg") if name == "postgresql" else parsed
