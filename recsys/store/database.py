"""The database beneath a store: SQLite or PostgreSQL, reached so that what is committed stays."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    SQLAlchemyError,
)

from recsys.errors import (
    RecsysError,
    StoreDownError,
    StoreError,
)
from recsys.store.breaker import Breaker
from recsys.store.upgrading import is_current, upgrade
from recsys.store.urls import parsed_url

Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]
Use = Literal["read", "write"]
Watch = Callable[[Use, float, bool], None]

_WAIT = 10.0  # seconds that a writer waits for the one before it
_CONNECT = 3  # seconds that PostgreSQL has to accept a connection
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
    patience
        Seconds that PostgreSQL has for each statement, for those whom somebody waits for; None:
        as long as it takes.
    watch
        Told of each use: which, how many seconds it took, and whether the database answered.

    Raises
    ------
    SettingsError
        The URL is none, or of another kind of database.
    MissingDependencyError
        PostgreSQL's driver is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = True,
        patience: float | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._url = parsed_url(url)
        self.shown = self._url.set(query={}).render_as_string(hide_password=True)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._create, self._watch = create, watch
        self._engine = self._sqlite() if self.is_sqlite else self._postgresql(patience)
        self._lock = threading.Lock()
        self._prepared = self._seen = False
        self._breaker = None if self.is_sqlite else Breaker(self._answers)

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
        with self._asking("read"), self._engine.connect() as connection:
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
        if not self._prepared:
            with self._asking("write"):
                self._prepare()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection for SELECTs, each of which sees what is committed by then."""
        with self._asking("read"):
            self._prepare()
            with self._engine.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that is on disk once the block ends well."""
        with self._asking("write"):
            self._prepare()
            with self._transaction("READ COMMITTED", "BEGIN IMMEDIATE") as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Yield a connection for SELECTs that all see what was committed at the first."""
        with self._asking("read"):
            self._prepare()
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
        with self._asking("write"):
            self._prepare()
            with self._engine.connect() as connection:
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
        if self._breaker is not None:
            self._breaker.close()
        self._engine.dispose()

    @contextmanager
    def _transaction(self, isolation: Isolation, begin: str) -> Iterator[sa.Connection]:
        """Begin as either database does: PostgreSQL by a level, SQLite by a statement."""
        if self.is_sqlite:
            engine = self._engine.execution_options(begin=begin)
        else:
            engine = self._engine.execution_options(isolation_level=isolation)
        with engine.begin() as connection:
            yield connection

    @contextmanager
    def _asking(self, use: Use) -> Iterator[None]:
        """Turn what SQLAlchemy raises into a StoreDownError of one line, and tell the watch."""
        if self._breaker is not None:
            self._breaker.enter()
        start, answered = time.perf_counter(), False
        try:
            yield
            answered = True
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            self._prepared = False  # it may come back empty, or another one
            reason = f"the store {self.shown} does not answer: {_said(error)}"
            if self._breaker is not None:
                self._breaker.failed(reason)
            raise StoreDownError(reason) from error
        except RecsysError as error:
            answered = not isinstance(error, StoreDownError)
            raise
        finally:
            if self._watch is not None:
                self._watch(use, time.perf_counter() - start, answered)

    def _answers(self) -> bool:
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (SQLAlchemyError, OSError):
            return False
        return True

    def _prepare(self) -> None:
        if self._prepared:
            return
        with self._lock:
            if not self._prepared:
                self._upgrade()
                self._prepared = self._seen = True

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
                from recsys.store.patience import take_time

                take_time(connection)  # the tables may be large
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

        engine = sa.create_engine(
            self._url, creator=connect, pool_size=8, max_overflow=8, hide_parameters=True
        )

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

    def _postgresql(self, patience: float | None) -> sa.Engine:
        said = {"connect_timeout": str(_CONNECT), "tcp_user_timeout": "10000"}
        engine = sa.create_engine(
            self._url,
            connect_args={
                name: value for name, value in said.items() if name not in self._url.query
            },
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=8,
            hide_parameters=True,  # an error may be logged, and they are of people
        )
        if patience is not None:
            from recsys.store.patience import limit_waiting

            limit_waiting(engine, patience)
        return engine


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


def _said(error: Exception) -> str:
    """Return the first line of what the database said, without statement or password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
