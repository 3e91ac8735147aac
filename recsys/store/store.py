"""The store of what happened since a model was trained: events, items, sends, keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from recsys.errors import ForgottenError
from recsys.recommender import HistoryEntry
from recsys.store import events, forgetting, items, keys, looking, schema, sending
from recsys.store.database import Database, Watch
from recsys.store.events import Added, Event
from recsys.store.forgetting import Forgotten, Hasher
from recsys.store.items import ItemChanges, ItemState
from recsys.store.keys import Key, Scope
from recsys.store.looking import Counters, Look
from recsys.store.sending import Ledger, Send


class Store:
    """Events, items, sends and keys, in SQLite or PostgreSQL; threads and processes may share it.

    What a writing method did is on disk when it returns. Each method raises StoreDownError where
    the database does not answer; the next call tries again.

    Parameters
    ----------
    database
        Where it all lies.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.shown: str = database.shown
        self.file: Path | None = database.file

    @classmethod
    def at(
        cls,
        url: str,
        *,
        create: bool = True,
        patience: float | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Return the store at a URL, without connecting yet; see `Database` for the rest."""
        return cls(Database(url, create=create, patience=patience, watch=watch))

    def prepare(self) -> None:
        """Connect, and make or bring up to date what is there."""
        self._database.prepare()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def ping(self) -> None:
        """See that the database answers."""
        with self._database.reading() as connection:
            looking.counters(connection)

    def add_events(self, given: Sequence[Event]) -> Added:
        """Write events down: all of them or, where it raises, none.

        An event whose id is there already changes nothing, also within one call.

        Raises
        ------
        DataError
            An event that cannot be meant; the message names its place and field.
        ForgottenError
            An event is of someone who is forgotten.
        """
        rows = events.rows_of(given, events.now())
        users = sorted({event.user for event in given})
        with self._database.writing() as connection:
            self._database.hold(connection, alone=False)
            if refused := forgetting.among(connection, users):
                raise ForgottenError(sorted(refused))
            accepted = events.add(connection, rows)
        return Added(accepted, len(rows) - accepted)

    def look(self, users: Sequence[str]) -> Look:
        """Return what an answer for these users needs."""
        with self._database.reading() as connection:
            return looking.look(connection, users)

    def history(self, user: str) -> tuple[HistoryEntry, ...]:
        """Return what a user did that was not taken back, oldest first: `histories` of one."""
        return self.histories([user])[user]

    def histories(self, users: Sequence[str]) -> dict[str, tuple[HistoryEntry, ...]]:
        """Return what each user did that was not taken back, oldest first."""
        found: dict[str, list[HistoryEntry]] = {user: [] for user in users}
        with self._database.reading() as connection:
            rows = events.of_users(connection, users)
        for place, item, when, value in rows.in_force():
            found[users[place]].append(HistoryEntry(item, when, value))
        return {user: tuple(own) for user, own in found.items()}

    def every_event(self) -> Iterator[Event]:
        """Yield all events, the oldest first, those that were taken back, too."""
        with self._database.snapshot() as connection:
            yield from events.every(connection)

    def set_item(self, item: str, changes: ItemChanges) -> ItemState:
        """Change what is said of an item, and return what is said now.

        Raises
        ------
        DataError
            A change that cannot be meant.
        """
        return self.set_items({item: changes})[0]

    def set_items(self, changes: Mapping[str, ItemChanges]) -> list[ItemState]:
        """Change several items at once: all or none."""
        with self._database.writing() as connection:
            return [items.change(connection, item, said) for item, said in changes.items()]

    def items(self, since: int = -1) -> list[ItemState]:
        """Return the items of which something is said, changed since a counter's stand."""
        with self._database.reading() as connection:
            return items.changed_since(connection, since)

    def forget(self, user: str) -> Forgotten:
        """Erase a person from events and sends; later events of theirs are refused.

        What is deleted is overwritten: in SQLite at once, in PostgreSQL by `vacuum`.
        """
        with self._database.writing() as connection:
            self._database.hold(connection, alone=True)
            erased = forgetting.forget(connection, user)
        self._database.overwrite_log()
        return erased

    def forgotten(self) -> tuple[Hasher, frozenset[str]]:
        """Return who is forgotten: how ids are hashed, and the hashes."""
        with self._database.reading() as connection:
            return forgetting.hasher(connection), forgetting.hashes(connection)

    def forgotten_among(self, users: Sequence[str]) -> frozenset[str]:
        """Return those of the users who are forgotten."""
        with self._database.reading() as connection:
            return frozenset(forgetting.among(connection, users))

    def add_sends(self, given: Sequence[Send]) -> int:
        """Write down what campaigns sent; return how much of it is new."""
        with self._database.writing() as connection:
            return sending.add(connection, given)

    def sends_to(self, users: Sequence[str], since: int = -(2**62)) -> list[Send]:
        """Return what these users were sent from a time on (microseconds), the oldest first."""
        with self._database.reading() as connection:
            return sending.to_users(connection, users, since)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Yield the ledger in a transaction, which a block that raises takes back as a whole."""
        with self._database.writing() as connection:
            self._database.hold(connection, alone=False)
            yield Ledger(connection)

    def committed(self, run: str) -> bool:
        """Return whether the sends of a run are in the ledger."""
        with self._database.reading() as connection:
            return sending.committed(connection, run) is not None

    def list_sizes(self) -> dict[str, int]:
        """Return how many people suppression lists had when a campaign was last committed."""
        with self._database.reading() as connection:
            return sending.list_sizes(connection)

    def add_key(self, scope: Scope, name: str = "") -> tuple[str, Key]:
        """Make an API key; its text is returned here and never again."""
        with self._database.writing() as connection:
            return keys.add(connection, scope, name)

    def keys(self) -> list[Key]:
        """Return the API keys, the oldest first."""
        with self._database.reading() as connection:
            return keys.listed(connection)

    def remove_key(self, identifier: str) -> Key:
        """Remove an API key by its id.

        Raises
        ------
        NotFoundError
            There is none.
        """
        with self._database.writing() as connection:
            return keys.remove(connection, identifier)

    def scopes(self) -> tuple[Counters, dict[str, Scope]]:
        """Return what each key may do, by its hash, and the counters of before."""
        with self._database.reading() as connection:
            return looking.counters(connection), keys.scopes(connection)

    def counters(self) -> Counters:
        """Return the counters."""
        with self._database.reading() as connection:
            return looking.counters(connection)

    def counts(self) -> dict[str, int]:
        """Return how much there is of each kind."""
        taken = schema.events.c
        asked = {
            "events": sa.select(sa.func.count()).select_from(schema.events),
            "removes": sa.select(sa.func.count()).where(taken.type == "remove"),
            "users": sa.select(sa.func.count(taken.user_id.distinct())),
            "items": sa.select(sa.func.count(taken.item_id.distinct())),
            "described": sa.select(sa.func.count()).select_from(schema.items),
            "sends": sa.select(sa.func.count()).select_from(schema.sends),
            "keys": sa.select(sa.func.count()).select_from(schema.keys),
            "forgotten": sa.select(sa.func.count()).select_from(schema.forgotten),
        }
        with self._database.reading() as connection:
            return {name: int(connection.scalar(query) or 0) for name, query in asked.items()}

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees one state of the store, whatever others write."""
        with self._database.snapshot() as connection:
            yield connection

    def vacuum(self) -> None:
        """Give back room, and overwrite what was deleted."""
        self._database.tidy()


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store at a URL, connected.

    Parameters
    ----------
    url
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
    create
        Whether a SQLite file that is not there is made; of a PostgreSQL database the tables are.

    Raises
    ------
    SettingsError
        The URL is none, or of another kind of database.
    MissingDependencyError
        PostgreSQL's driver is not installed.
    StoreDownError
        The database does not answer.
    StoreError
        There is none, or it is newer than this version.
    """
    store = Store.at(url, create=create)
    store.prepare()
    return store
