"""Databases, by SQLAlchemy URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from recsys.errors import DataError, MissingDependencyError, SettingsError
from recsys.interactions.objects import ObjectColumns
from recsys.interactions.rawtable import Kind, RawTable
from recsys.interactions.readers import USUAL_COLUMNS, Found, ItemsTable, find_items
from recsys.interactions.spec import DatasetSpec

_CHUNK = 50_000


class SqlTable:
    """A table or view; its rows count from 1, in the order in which the database gives them.

    Parameters
    ----------
    connection
        An open connection, only read from.
    place
        What messages call the table.
    full_name
        The quoted name.
    names
        Its columns.
    """

    def __init__(
        self, connection: sa.Connection, place: str, full_name: str, names: list[str]
    ) -> None:
        self.place = place
        self._connection, self._full_name, self._names = connection, full_name, names

    def names(self) -> list[str]:
        """Return the names of the columns."""
        return self._names

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[RawTable]:
        """Yield these columns as they come from the database."""
        quote = self._connection.dialect.identifier_preparer.quote_identifier
        wanted = ", ".join(quote(name) for name in kinds)
        result = self._connection.exec_driver_sql(f"SELECT {wanted} FROM {self._full_name}")
        return _rows(self.place, result, kinds)


class SqlQuery:
    """What a query gives; its rows count from 1."""

    def __init__(self, connection: sa.Connection, place: str, query: str) -> None:
        self.place = place
        self._connection, self._query = connection, query

    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._result.keys())

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[RawTable]:
        """Yield these columns as they come from the database."""
        result = self._result
        del self._result  # whoever wants the rows again has to ask again
        return _rows(self.place, result, kinds)

    @cached_property
    def _result(self) -> sa.CursorResult[Any]:
        """The running query: it may be slow, so it does not run for its columns' names alone."""
        result = self._connection.exec_driver_sql(self._query)
        if not result.returns_rows:
            raise DataError("gives no rows", file=self.place, hint="write a SELECT")
        return result


def _rows(
    place: str, result: sa.CursorResult[Any], kinds: Mapping[str, Kind]
) -> Iterator[RawTable]:
    """Read a result to its end."""
    names = list(result.keys())
    at = [names.index(name) for name in kinds]
    first = 1
    for chunk in result.partitions(_CHUNK):
        columns = ObjectColumns(place, kinds)
        for row, cells in enumerate(chunk, start=first):
            columns.add(row, [cells[position] for position in at])
        yield columns.table()
        first += len(chunk)


@contextmanager
def find_tables(url: str, spec: DatasetSpec) -> Iterator[tuple[Found, str, str]]:
    """Connect; yield the tables, the database's name, and the URL without its secrets.

    Raises
    ------
    SettingsError
        The URL is none, or neither table nor query is given.
    MissingDependencyError
        The database's driver is not installed.
    DataError
        The database does not answer, or has no such table.
    """
    engine, shown = _engine(url)
    if not spec.table and not spec.query:
        raise SettingsError(f"{shown}: say what to read with --table or --query")
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            items = _items(connection, inspector, shown, spec)
            events = (
                _table(connection, inspector, shown, spec.table, "--table")
                if spec.table
                else SqlQuery(connection, f"{shown} query", spec.query or "")
            )
            # no_parameters: a % in a query is the user's own, not a place for one
            connection.execution_options(
                stream_results=True, max_row_buffer=_CHUNK, no_parameters=True
            )
            found = Found(events, USUAL_COLUMNS, items)
            yield found, Path(engine.url.database or "database").stem, shown
    except SQLAlchemyError as error:
        raise DataError(_reason(error), file=shown, hint="check the URL and the query") from error
    finally:
        engine.dispose()


def read_query(url: str, query: str) -> Iterator[tuple[list[str], Sequence[Sequence[Any]]]]:
    """Yield the names of the columns and some of the rows, until a query's result is read.

    Raises
    ------
    SettingsError, MissingDependencyError, DataError
        As in `find_tables`.
    """
    engine, shown = _engine(url)
    try:
        with engine.connect() as connection:
            connection.execution_options(
                stream_results=True, max_row_buffer=_CHUNK, no_parameters=True
            )
            asked = SqlQuery(connection, f"{shown} query", query)
            names, result = asked.names(), asked._result
            yield names, ()
            for rows in result.partitions(_CHUNK):
                yield names, rows
    except SQLAlchemyError as error:
        raise DataError(_reason(error), file=shown, hint="check the URL and the query") from error
    finally:
        engine.dispose()


def shown_url(url: str) -> str:
    """Return a database's URL without its secrets, for messages.

    Raises
    ------
    SettingsError
        It is none.
    """
    engine, shown = _engine(url)
    engine.dispose()
    return shown


def _engine(url: str) -> tuple[sa.Engine, str]:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        scheme = url.partition("://")[0]
        raise SettingsError(
            f"{scheme}://…: is no database URL; write it as sqlite:///shop.db or "
            "postgresql+psycopg://user:password@host/name"
        ) from error
    shown = parsed.set(query={}).render_as_string(hide_password=True)  # secrets may stand in both
    database = parsed.database or ""
    is_file = parsed.drivername.startswith("sqlite") and not database.startswith(("file:", ":"))
    if is_file and not Path(database).is_file():  # SQLite would make an empty one
        raise DataError("there is no such file", file=database or shown, hint="check --data")
    try:
        return sa.create_engine(parsed), shown
    except NoSuchModuleError as error:
        raise SettingsError(
            f"{shown}: SQLAlchemy knows no {parsed.drivername!r}; try sqlite or postgresql+psycopg"
        ) from error
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            raise MissingDependencyError("psycopg", "postgres", shown) from error
        raise SettingsError(f"{shown}: its driver {error.name!r} is not installed") from error


def _table(
    connection: sa.Connection, inspector: sa.Inspector, shown: str, name: str, flag: str
) -> SqlTable:
    """Return a table or view that is there, `table` or `schema.table`."""
    schema, _, table = name.rpartition(".")
    there = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
    if table not in there:
        listed = ", ".join(sorted(there)) or "none"
        raise DataError(
            f"has no table {name!r}; there are {listed}", file=shown, hint=f"check {flag}"
        )
    quote = connection.dialect.identifier_preparer.quote_identifier
    return SqlTable(
        connection,
        f"{shown} table {name}",
        ".".join(quote(part) for part in (schema, table) if part),
        [column["name"] for column in inspector.get_columns(table, schema or None)],
    )


def _items(
    connection: sa.Connection, inspector: sa.Inspector, shown: str, spec: DatasetSpec
) -> ItemsTable | None:
    """Return the items: a file of that name if there is one, else a table of the database."""
    if spec.items is None:
        return None
    if Path(spec.items).is_file():
        return find_items(Path(), spec)
    return ItemsTable(_table(connection, inspector, shown, spec.items, "--items"), USUAL_COLUMNS)


def _reason(error: SQLAlchemyError) -> str:
    """Return the first line of what the database said, without statement or password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(error).__name__
