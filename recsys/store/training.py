"""A store as a data set to train on, alone or on top of another one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from recsys.errors import DataError, MissingDependencyError, SettingsError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.cleaning import clean
from recsys.interactions.dataset import Dataset, load_dataset
from recsys.interactions.events import Events
from recsys.interactions.spec import DatasetSpec, is_url
from recsys.interactions.tables import Interactions
from recsys.store.database import Database
from recsys.store.events import EventRows
from recsys.store.merging import with_events
from recsys.store.schema import INTERACTIONS
from recsys.store.stocking import restocked
from recsys.store.store import Store

Cell = TypeVar("Cell")


def holds_store(url: str) -> bool:
    """Return whether a database is a store; it is looked at alone, and nothing is made."""
    try:
        database = Database(url, create=False)
    except (SettingsError, MissingDependencyError):  # another kind of database can be data, too
        return False
    try:
        return database.is_store()
    finally:
        database.close()


def load_data(source: str | Path, spec: DatasetSpec) -> Dataset:
    """Return a data set as `load_dataset` does, of a store without that a table is named."""
    if names_store(source, spec):
        return load_store(str(source), spec)
    return load_dataset(source, spec)


def names_store(source: str | Path, spec: DatasetSpec) -> bool:
    """Return whether a source is a store as a whole."""
    return is_url(source) and not spec.table and not spec.query and holds_store(str(source))


def load_store(url: str, spec: DatasetSpec) -> Dataset:
    """Return the events of a store that were not taken back as a data set, with its items.

    A row that training cannot use (an id that hardly differs from another one) is left out and
    listed, as with `on_bad_rows = "skip"`: a store cannot refuse it beforehand.

    Raises
    ------
    DataError
        There is no event.
    StoreError
        The store does not answer.
    """
    database = Database(url, create=False)
    store = Store(database)
    spec = replace(spec, table=INTERACTIONS, items=None, on_bad_rows="skip")
    try:
        if not store.counts()["events"]:
            raise DataError("holds no event", file=store.shown, hint="see `recsys store import`")
        dataset = load_dataset(database.url, spec)
        untitled = Catalogue.untitled(dataset.items.ids)
        return replace(dataset, catalogue=_stocked(store, dataset.items, untitled))
    finally:
        store.close()


def with_store(dataset: Dataset, store: Store, spec: DatasetSpec) -> Dataset:
    """Return a data set with the store's events in it, without what was taken back or forgotten.

    Parameters
    ----------
    dataset, spec
        What was read, and how; the whole is cleaned as that was.
    store
        What happened besides; an event that is in both counts once.
    """
    events = list(store.every_event())
    forgotten = store.forgotten_among(dataset.users.ids)
    users = IdMap(sorted({*dataset.users.ids, *(event.user for event in events)} - forgotten))
    items = IdMap(sorted({*dataset.items.ids, *(event.item for event in events)}))
    rows = EventRows(
        [_code(users, event.user) for event in events],
        [event.item for event in events],
        [0 if event.time is None else event.time for event in events],
        [1.0 if event.value is None else event.value for event in events],
        [event.type == "remove" for event in events],
    )
    whole = with_events(_spread(dataset, users, items), rows, items)
    cleaned, _ = clean(
        Events(
            whole.users.astype(np.int64),
            whole.items.astype(np.int64),
            whole.times,
            None if whole.values is None else whole.values.astype(np.float64),
        ),
        spec.clean,
        dataset.source,
    )
    return _numbered(dataset, cleaned, users, items, store)


def _spread(dataset: Dataset, users: IdMap, items: IdMap) -> Interactions:
    """Return the data set's events under other codes; users without one there are left out."""
    events = dataset.interactions
    user_codes = np.array([users.code(user) is not None for user in dataset.users.ids])
    kept = events.where(user_codes[events.users])
    new_user = np.array([users.code(user) or 0 for user in dataset.users.ids], np.int64)
    new_item = np.array([_code(items, item) for item in dataset.items.ids], np.int64)
    return Interactions.from_events(
        new_user[kept.users],
        new_item[kept.items],
        shape=(len(users), len(items)),
        times=kept.times,
        values=kept.values,
    )


def _numbered(
    dataset: Dataset, events: Events, users: IdMap, items: IdMap, store: Store
) -> Dataset:
    """Return the data set of these events: who and what has none is left out."""
    own_users, user_codes = np.unique(events.users, return_inverse=True)
    own_items, item_codes = np.unique(events.items, return_inverse=True)
    interactions = Interactions.from_events(
        user_codes,
        item_codes,
        shape=(len(own_users), len(own_items)),
        times=events.times,
        values=None if events.values is None else events.values.astype(np.float32),
    )
    kept_items = items.take(own_items)
    digest = hashlib.sha256(dataset.fingerprint.encode())
    for array in (events.users, events.items, events.times, events.values):
        digest.update(b"" if array is None else array.tobytes())
    return replace(
        dataset,
        fingerprint=digest.hexdigest(),
        interactions=interactions,
        users=users.take(own_users),
        items=kept_items,
        catalogue=_stocked(store, kept_items, _catalogue(dataset, kept_items)),
    )


def _catalogue(dataset: Dataset, items: IdMap) -> Catalogue:
    """Return the data set's catalogue for these items, of which some may be new."""
    rows = [dataset.items.code(item) for item in items.ids]
    old, untitled = dataset.catalogue, Catalogue.untitled(items.ids)

    def spread(there: Sequence[Cell], otherwise: Sequence[Cell]) -> list[Cell]:
        return [otherwise[place] if row is None else there[row] for place, row in enumerate(rows)]

    nothing: list[str | None] = [None] * len(items)
    return Catalogue(
        spread(old.titles, untitled.titles),
        spread(old.categories, untitled.categories),
        np.array(spread(old.prices.tolist(), untitled.prices.tolist())),
        {name: spread(texts, nothing) for name, texts in old.attributes.items()},
    )


def _stocked(store: Store, items: IdMap, catalogue: Catalogue) -> Catalogue:
    nothing = np.zeros(len(items), np.bool_)
    return restocked(store.items(), items, catalogue, catalogue, nothing)[1]


def _code(ids: IdMap, identifier: str) -> int:
    code = ids.code(identifier)
    if code is None:
        raise KeyError(identifier)
    return code
