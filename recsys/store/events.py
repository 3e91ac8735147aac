"""Events: what is accepted, written once whatever is sent twice, and read back by user."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recsys.errors import DataError
from recsys.interactions.tables import MICROSECONDS_PER_DAY
from recsys.store.schema import events

Kind = Literal["add", "remove"]
Thing = TypeVar("Thing")

LONGEST = 200
"""Characters that an id may have."""

AT_ONCE = 500
"""Rows of one statement, and values of one IN."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did to an item.

    Attributes
    ----------
    id
        Whoever sends it chooses it; a second event of the same id is the first one sent again.
    user, item
        Their ids.
    time
        Microseconds since 1970 UTC; None means when it is received.
    value
        Quantity or rating; None counts as 1.
    type
        `remove` takes back what the user did to the item up to then: a return, a cancellation.
    """

    id: str
    user: str
    item: str
    time: int | None = None
    value: float | None = None
    type: Kind = "add"


@dataclass(frozen=True)
class Added:
    """How many events are new, and how many were there already."""

    accepted: int
    duplicates: int


@dataclass(frozen=True, eq=False)
class EventRows:
    """Events of several users, oldest first; one entry of each list an event.

    Attributes
    ----------
    users
        Position of the user among those asked for.
    items, times, values, removes
        As in `Event`; `removes` tells the type, a value that was not said is 1.
    """

    users: list[int] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    removes: list[bool] = field(default_factory=list)

    def take(self, rows: Sequence[Any], places: Mapping[str, int]) -> None:
        """Append what was read: user, item, time, value and type; `places` are the users'."""
        if not rows:
            return
        users, items, times, values, kinds = zip(*rows, strict=True)
        self.users.extend(places[user] for user in users)
        self.items.extend(items)
        self.times.extend(times)
        self.values.extend(1.0 if value is None else value for value in values)
        self.removes.extend(kind == "remove" for kind in kinds)

    def in_force(self) -> Iterator[tuple[int, str, int, float]]:
        """Yield user, item, time and value of each event that was not taken back."""
        taken_back: dict[tuple[int, str], int] = {}  # times ascend, so the last one stays
        for user, item, when, removes in zip(
            self.users, self.items, self.times, self.removes, strict=True
        ):
            if removes:
                taken_back[user, item] = when
        for user, item, when, value, removes in zip(
            self.users, self.items, self.times, self.values, self.removes, strict=True
        ):
            if not removes and when > taken_back.get((user, item), when - 1):
                yield user, item, when, value


def pieces(things: Iterable[Thing], size: int = AT_ONCE) -> Iterator[list[Thing]]:
    """Cut things into lists of `size`, the last perhaps shorter."""
    left = iter(things)
    while piece := list(islice(left, size)):
        yield piece


def storable(identifier: str) -> bool:
    """Return whether this can be the id of anything in a store, and in a data set."""
    return (
        0 < len(identifier) <= LONGEST
        and identifier == identifier.strip()
        and not _CONTROL.search(identifier)
    )


def now() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def check_id(identifier: str, name: str, place: str | None = None) -> None:
    """Refuse a text that is no id.

    Raises
    ------
    DataError
        It is empty, too long, has control characters, or white space around.
    """
    if not storable(identifier):
        raise DataError(
            "not an id",
            file=place,
            column=name,
            value=identifier,
            hint=f"give 1 to {LONGEST} characters, no control characters, no white space around",
        )


def rows_of(given: Sequence[Event], received: int) -> list[dict[str, Any]]:
    """Return the rows of events, each checked; without a time they follow each other.

    Raises
    ------
    DataError
        An id that is none, a value that is no number, a time off the calendar or to come.
    """
    rows = []
    for place, event in enumerate(given):
        where = f"event {place + 1}" if len(given) > 1 else None
        for name in ("id", "user", "item"):
            check_id(getattr(event, name), name, where)
        if event.value is not None and not abs(event.value) <= 1e12:  # NaN fails, too
            raise DataError(
                "not a number up to 1e12", file=where, column="value", value=event.value
            )
        when = received + place if event.time is None else event.time
        if not _YEAR_1 <= when < _YEAR_10000:
            raise DataError("not within the years 1 to 9999", file=where, column="time", value=when)
        if when > received + len(given) + MICROSECONDS_PER_DAY:
            # everybody's ages count from the newest event
            raise DataError("more than a day to come", file=where, column="time", value=when)
        rows.append(
            {
                "id": event.id,
                "user_id": event.user,
                "item_id": event.item,
                "time": when,
                "value": None if event.value is None else float(event.value),
                "type": event.type,
                "received": received,
            }
        )
    return rows


def add(connection: sa.Connection, rows: Iterable[dict[str, Any]]) -> int:
    """Insert the rows whose ids are new; return how many those are."""
    distinct: dict[str, dict[str, Any]] = {}
    for row in rows:
        distinct.setdefault(row["id"], row)
    return insert_new(connection, events, distinct)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Mapping[Any, Any]) -> int:
    """Insert the rows, by primary key, that are not there yet; return how many those are."""
    # in one order, so that two who insert the same cannot wait for each other
    ordered = [rows[key] for key in sorted(rows)]
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = kind.insert(table).on_conflict_do_nothing().returning(sa.literal(1))
    return sum(len(connection.execute(insert, some).all()) for some in pieces(ordered))


READ = (
    sa.select(events.c.user_id, events.c.item_id, events.c.time, events.c.value, events.c.type)
    .where(events.c.user_id.in_(sa.bindparam("users", expanding=True)))
    .order_by(events.c.user_id, events.c.time, events.c.id)
)
"""The events of at most AT_ONCE `users`, as `EventRows.take` wants them."""


def of_users(
    connection: sa.Connection, users: Sequence[str], received: int | None = None
) -> EventRows:
    """Return all events of the users, those that were taken back and their removes, too.

    Where `received` is given, those alone that had been received by then, in microseconds.
    """
    found = EventRows()
    read = READ if received is None else READ.where(events.c.received <= received)
    places = {user: place for place, user in enumerate(users) if storable(user)}
    for some in pieces(places):
        found.take(connection.execute(read, {"users": some}).all(), places)
    return found


def every(connection: sa.Connection) -> Iterator[Event]:
    """Yield all events, in the order of time and id, as they come from the database."""
    query = sa.select(events).order_by(events.c.time, events.c.id)
    streaming = connection.execution_options(stream_results=True, max_row_buffer=10_000)
    with streaming.execute(query) as rows:
        for row in rows:
            yield Event(row.id, row.user_id, row.item_id, row.time, row.value, row.type)
