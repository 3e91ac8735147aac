"""A store as it was at one moment, whatever is written to it meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from recsys.errors import StoreError
from recsys.store import events, items, schema, sending
from recsys.store.database import Database
from recsys.store.items import ItemState
from recsys.store.looking import Counters, Look
from recsys.store.sending import SentRows
from recsys.store.store import Store


@dataclass(frozen=True)
class Moment:
    """How far a store had come.

    Attributes
    ----------
    store
        A hash that tells this store from others.
    events, received
        How many events there were, and when the last came, microseconds since 1970 UTC; None
        where there were none.
    runs, sends
        The number of the newest commit, and how many sends there were.
    """

    store: str
    events: int
    received: int | None
    runs: int
    sends: int


class PinnedStore(Store):
    """A store that answers as it did at a moment, but for people who were forgotten since.

    Parameters
    ----------
    database
        Where it lies.
    moment
        What is newer does not count.
    states
        What was said of the items.
    """

    def __init__(self, database: Database, moment: Moment, states: Sequence[ItemState]) -> None:
        super().__init__(database)
        self._moment, self._states = moment, list(states)

    def look(self, users: Sequence[str]) -> Look:
        """Return what an answer for these users needs."""
        with self._database.reading() as connection:
            forgotten = connection.scalar(
                sa.select(schema.meta.c.number).where(schema.meta.c.name == "forgotten")
            )
            received = self._moment.received
            rows = (
                events.EventRows()
                if received is None
                else events.of_users(connection, users, received)
            )
        return Look(Counters(items=0, forgotten=int(forgotten or 0)), None, rows)

    def items(self, since: int = -1) -> list[ItemState]:  # noqa: ARG002
        """Return the items of which something was said."""
        return self._states

    def sent_to(self, users: Sequence[str], after: int) -> SentRows:
        """Return what these users had been sent after a time."""
        with self._database.reading() as connection:
            return sending.sent_to(connection, users, after, self._moment.runs)

    def recent_campaigns(self, n: int) -> frozenset[str]:
        """Return the newest n campaigns."""
        with self._database.reading() as connection:
            return sending.recent(connection, n, self._moment.runs)


def pin(store: Store) -> tuple[Moment, list[ItemState]]:
    """Return how far a store has come, and what it says of items then."""
    with store.snapshot() as connection:
        return _moment(connection), items.changed_since(connection, -1)


def pinned(url: str, moment: Moment, states: Sequence[ItemState]) -> PinnedStore:
    """Return the store at a URL as it was at a moment; see `Database` for what it raises.

    Raises
    ------
    StoreError
        It is another store.
    """
    store = PinnedStore(Database(url, create=False), moment, states)
    with store.snapshot() as connection:
        if _moment(connection).store != moment.store:
            raise StoreError(
                f"{store.shown} is not the store that this run began with; check --store, or begin "
                "anew with --restart"
            )
    return store


def _moment(connection: sa.Connection) -> Moment:
    """Return how far the store has come that the connection sees."""
    secret = connection.scalar(sa.select(schema.meta.c.text).where(schema.meta.c.name == "secret"))
    count, received = connection.execute(
        sa.select(sa.func.count(), sa.func.max(schema.events.c.received))
    ).one()
    number, sends = sending.stand(connection)
    identity = hashlib.sha256(f"store {secret}".encode()).hexdigest()[:16]
    return Moment(identity, count, received, number, sends)
