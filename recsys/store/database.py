"""The database beneath a store: SQLite or PostgreSQL, reached so that what is committed stays."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    NoSuchModuleError,
    SQLAlchemyError,
)

from recsys.errors import MissingDependencyError, SettingsError, StoreDownError, StoreError
from recsys.store.upgrading import is_current, upgrade

Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]

_WAIT = 10.0  # seconds that a writer waits for the one before it
_PAUSE = 1.0  # seconds for which a server that did not answer is not asked again
_ONE_AT_A_TIME = 5_306_171  # names the advisory locks among others of the same PostgreSQL


class Database:
    """An engine that is connected when first used, at the newest schema by then.

    Threads share it; a process that forks opens its own. Every failure of the database is a
    StoreDownError. A server that came back is used again, without a word, by the next call.

    Parameters
    ----------
    url
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
    create
        Whether a SQLite file that is not there is made.

    Raises
    ------
    SettingsError
        The URL is none, or of another kind of database.
    MissingDependencyError
        PostgreSQL's driver is not installed.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._url = _parsed(url)
        self.shown = self._url.set(query={}).render_as_string(hide_password=True)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._create = create
        self._engine = self._sqlite() if self.is_sqlite else self._postgresql()
        self._lock = threading.Lock()
        self._prepared = self._seen = False
        self._down_until, self._reason = 0.0, ""

    @property
    def file(self) -> Path | None:
        """Where SQLite keeps the store; None for PostgreSQL."""
        return Path(str(self._url.database)) if self.is_sqlite else None

    @property
    def url(self) -> str:
        """The URL, its password included."""
        return self._url.render_as_string(hide_password=False)

    def is_store(self) -> bool:
        """Return whether there is a store; nothing is made or changed.

        Raises
        ------
        StoreDownError
            The database does not answer.
        """
        if self.file is not None and not self.file.is_file():
            return False
        with self._translated(), self._engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names())
        return {"events", "forgotten", "meta", "alembic_version"} <= there

    def prepare(self) -> None:
        """Connect and bring the schema up to date; does nothing where that is done.

        Raises
        ------
        StoreDownError
            The database does not answer.
        StoreError
            It was written by a newer version, or is not there and must not be made.
        """
        if self._prepared:
            return
        with self._lock:
            if not self._prepared:
                with self._translated():
                    self._upgrade()
                self._prepared = self._seen = True

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection for SELECTs, each of which sees what is committed by then."""
        self.prepare()
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that is on disk once the block ends well."""
        self.prepare()
        with self._transaction("READ COMMITTED", "BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Yield a connection for SELECTs that all see what was committed at the first."""
        self.prepare()
        with self._transaction("REPEATABLE READ", "BEGIN") as connection:
            yield connection

    def hold(self, connection: sa.Connection, *, alone: bool) -> None:
        """Wait until no transaction that holds this `alone` goes on, or none that holds it.

        SQLite's writers are alone anyway.
        """
        if not self.is_sqlite:
            shared = "" if alone else "_shared"
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{shared}({_ONE_AT_A_TIME}, 1)")

    def tidy(self) -> None:
        """Give back room, and overwrite what was deleted."""
        self.prepare()
        with self._translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA optimize")
            else:
                connection.exec_driver_sql("VACUUM (ANALYZE) events, items, sends, forgotten")
        self.overwrite_log()

    def overwrite_log(self) -> None:
        """Empty SQLite's write-ahead log, in which deleted rows stand; waits for readers."""
        if self.is_sqlite:
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, isolation: Isolation, begin: str) -> Iterator[sa.Connection]:
        """Begin as either database does: PostgreSQL by a level, SQLite by a statement."""
        if self.is_sqlite:
            engine = self._engine.execution_options(begin=begin)
        else:
            engine = self._engine.execution_options(isolation_level=isolation)
        with self._translated(), engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLAlchemy raises into a StoreDownError of one line."""
        if time.monotonic() < self._down_until:
            raise StoreDownError(self._reason)
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            self._prepared = False  # it may come back empty, or another one
            self._reason = f"the store {self.shown} does not answer: {_said(error)}"
            if not self.is_sqlite:
                self._down_until = time.monotonic() + _PAUSE
            raise StoreDownError(self._reason) from error

    def _upgrade(self) -> None:
        if self.file is not None and not self.file.is_file():
            if self._seen:  # an empty one in its place would look as if nothing had ever happened
                raise StoreDownError(f"the store {self.file} was taken away")
            if not self._create:
                raise StoreError(f"{self.file}: there is no store there; check --store")
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch()
        with self._engine.connect() as connection:
            if is_current(connection, self.shown):
                return
            if self.is_sqlite:
                _write_ahead(connection)
        with self._transaction("READ COMMITTED", "BEGIN IMMEDIATE") as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME}, 0)")
            if not is_current(connection, self.shown):  # another process may have been quicker
                upgrade(connection)

    def _sqlite(self) -> sa.Engine:
        path = Path(str(self._url.database))
        address = f"file:{quote(str(path))}?mode=rw"  # a file that was taken away is not made anew

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                address, uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False
            )
            # FULL: with NORMAL a power cut may take back what was acknowledged
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}")
            return connection

        engine = sa.create_engine(self._url, creator=connect, pool_size=8, max_overflow=8)

        @sa.event.listens_for(engine, "connect")
        def _remember(_: Any, record: Any) -> None:
            record.info["file"] = path.stat().st_ino

        @sa.event.listens_for(engine, "checkout")
        def _still_there(_: Any, record: Any, __: Any) -> None:
            if not path.exists() or path.stat().st_ino != record.info["file"]:
                raise DisconnectionError(f"{path} was taken away or replaced")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            # writers begin IMMEDIATE: to read first and then write would fail whenever another one
            # wrote in between
            if begin := connection.get_execution_options().get("begin"):
                connection.exec_driver_sql(begin)

        return engine

    def _postgresql(self) -> sa.Engine:
        said = {"connect_timeout": "3", "tcp_user_timeout": "10000"}
        return sa.create_engine(
            self._url,
            connect_args={
                name: value for name, value in said.items() if name not in self._url.query
            },
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=8,
        )


def _write_ahead(connection: sa.Connection) -> None:
    """Let readers go on beside a writer; the file remembers it."""
    end = time.monotonic() + _WAIT
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except DBAPIError:  # another process is at it, which SQLite does not wait for
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _parsed(url: str) -> sa.URL:
    example = "write it as sqlite:///shop.db or postgresql://user:password@host/name"
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise SettingsError(f"--store: {parsed.drivername} is not supported; {example}") from error
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            f"--store: {url.partition('://')[0]}://… is no URL; {example}"
        ) from error
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            raise MissingDependencyError("psycopg", "postgres", "a store in PostgreSQL") from error
        raise SettingsError(f"--store: {parsed.drivername} is not supported; {example}") from error
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError(f"--store: {parsed.drivername} is not supported; {example}")
    if parsed.get_backend_name() == "sqlite":
        name = parsed.database or ":memory:"
        if name.startswith((":", "file:")):
            raise SettingsError("--store: SQLite in memory keeps nothing; name a file")
        # the same name from whatever folder
        parsed = parsed.set(database=str(Path(name).absolute()))
    return parsed


def _said(error: Exception) -> str:
    """Return the first line of what the database said, without statement or password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
