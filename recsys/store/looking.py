"""All that an answer needs of the store, in one statement, since every request asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from recsys.store.events import READ, EventRows, pieces, storable
from recsys.store.schema import events, meta

_NEWEST = "newest"
_COUNTERS = sa.select(meta.c.name, meta.c.number).where(meta.c.number.is_not(None))
_NO_TEXT, _NO_NUMBER = sa.cast(sa.null(), sa.Text), sa.cast(sa.null(), sa.Double)


@dataclass(frozen=True)
class Counters:
    """What goes up when items, keys, the forgotten or sends change: who kept them looks again."""

    items: int = -1
    keys: int = -1
    forgotten: int = -1
    sends: int = -1


@dataclass(frozen=True, eq=False)
class Look:
    """What an answer for some users needs, of one moment.

    Attributes
    ----------
    counters
        See there.
    newest
        Time of the newest event of all users, microseconds; None where there is none.
    rows
        All events of the users asked for.
    """

    counters: Counters
    newest: int | None
    rows: EventRows


def counters(connection: sa.Connection) -> Counters:
    """Return where the counters stand."""
    return Counters(**{row.name: row.number for row in connection.execute(_COUNTERS)})


def look(connection: sa.Connection, users: Sequence[str]) -> Look:
    """Return what an answer for these users needs."""
    places = {user: place for place, user in enumerate(users) if storable(user)}
    several = pieces(places)
    first = next(several, [])
    text, names = _statement(connection.dialect, _at_least(len(first)))
    # a user may be named twice: so a few statements do for any number of them
    asked = dict(zip(names, [*first, *first[:1] * (len(names) - len(first))], strict=True))
    given = tuple(asked.values()) if connection.dialect.positional else asked
    found = _rows(connection, text, given)
    numbers = {name: number for name, item, number, *_ in found if item is None}
    newest = numbers.pop(_NEWEST)
    rows = EventRows()
    rows.take([row[:5] for row in found if row[1] is not None], places)
    for some in several:  # counters first: what changes in between is noticed the next time
        rows.take(connection.execute(READ, {"users": some}).all(), places)
    return Look(Counters(**numbers), newest, rows)


def _rows(connection: sa.Connection, text: str, given: Any) -> list[Any]:
    """Run a statement by the driver alone: SQLAlchemy's part would take longer than the driver's.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        The database does not answer.
    """
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, given)
        return list(cursor.fetchall())
    except connection.dialect.loaded_dbapi.Error as error:
        connection.invalidate(error)
        raise DBAPIError(text, None, error) from error
    finally:
        cursor.close()


def _at_least(n: int) -> int:
    """Return the power of two that n is not above, 0 for 0."""
    return 1 << (n - 1).bit_length() if n else 0


@lru_cache(maxsize=32)
def _statement(dialect: sa.Dialect, n_users: int) -> tuple[str, tuple[str, ...]]:
    """Return the statement as the driver takes it, and its parameters' names in their order.

    SQLAlchemy would put it together anew each time, which takes longer than to run it.
    """
    names = tuple(f"user_{number}" for number in range(n_users))
    own = events.c
    parts = [
        sa.select(own.user_id, own.item_id, own.time, own.value, own.type, own.id).where(
            own.user_id.in_([sa.bindparam(name, type_=sa.Text) for name in names])
        ),
        sa.select(meta.c.name, _NO_TEXT, meta.c.number, _NO_NUMBER, _NO_TEXT, _NO_TEXT).where(
            meta.c.number.is_not(None)
        ),
        sa.select(
            sa.literal_column(f"'{_NEWEST}'"),
            _NO_TEXT,
            sa.func.max(own.time),
            _NO_NUMBER,
            _NO_TEXT,
            _NO_TEXT,
        ),
    ]
    whole = sa.union_all(*parts[0 if names else 1 :]).order_by(sa.text("1, 3, 6"))
    compiled = whole.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or names)
