"""Answers that know what happened since the model was trained: for API, command line, campaigns."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recsys.errors import StoreDownError
from recsys.ids import IdMap
from recsys.interactions.tables import BoolArray, Interactions
from recsys.recommender import Basis, Recommender, Sight
from recsys.store.events import EventRows
from recsys.store.items import ItemState
from recsys.store.looking import Counters
from recsys.store.merging import with_events
from recsys.store.stocking import restocked, unlisted_shelf
from recsys.store.store import Store


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is read from the store only when its counters say so.

    Attributes
    ----------
    counters
        Where they stood.
    recommender
        The model over the catalogue as the store has it.
    withheld
        bool (n_items,): items that are blocked or out of stock.
    hidden
        Users of the model who are forgotten.
    unlisted
        What the store says of items that the model does not know, by id.
    """

    counters: Counters
    recommender: Recommender
    withheld: BoolArray
    hidden: frozenset[str] = frozenset()
    unlisted: Mapping[str, ItemState] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Moment:
    """What an answer rests on.

    Attributes
    ----------
    kept
        See there.
    basis
        What to call a history.
    newest
        Time of the store's newest event; None where there is none.
    rows
        The store's events of the users asked for.
    """

    kept: _Kept
    basis: Basis
    newest: int | None = None
    rows: EventRows = field(default_factory=EventRows)


@dataclass(frozen=True, eq=False, kw_only=True)
class _LiveSight(Sight):
    """A sight with the store's events, and the ids of the model's items."""

    rows: EventRows
    items: IdMap

    @property
    def unlisted(self) -> list[tuple[int, str, int | None]]:
        return [
            (place, item, time)
            for place, item, time, _ in self.rows.in_force()
            if item not in self.items
        ]


class LiveRecommender(Recommender):
    """A recommender whose histories are the model's data and the store's events together.

    Every call reads the store anew, so that an event counts at once, in every process. Items that
    are blocked or out of stock stand in no list. Whoever is forgotten is a stranger. While the
    store does not answer, what the model was trained on counts alone, and `basis` says so; blocks
    and the forgotten stay as they were last seen. Threads may share it.

    Parameters
    ----------
    recommender
        The model.
    store
        What happened since.
    required
        Whether to raise StoreDownError instead while the store does not answer.
    """

    def __init__(self, recommender: Recommender, store: Store, *, required: bool = False) -> None:
        super().__init__(recommender.artifact, scorer=recommender.ranker.scorer)
        self._store, self._required = store, required
        self._lock = threading.Lock()
        self._first = _Kept(Counters(), recommender, np.zeros(len(self.items), np.bool_))
        self._kept = self._first

    @property
    def reference_time(self) -> int | None:
        """Time of the newest event of model and store, microseconds; None without times."""
        return self._at(self._now([]))

    def known(self, users: Sequence[str]) -> list[bool]:
        """Return of each id whether the model or the store knows it."""
        return self._known(self._now(users), users)

    def events_of(self, users: Sequence[str]) -> Interactions:
        """Return all events of the users that count, a row a user."""
        return self._events(self._now(users), users)

    def look(self, users: Sequence[str]) -> Sight:
        """Read the store, once, and return what an answer for these users rests on."""
        moment = self._now(users)
        return _LiveSight(
            ranker=moment.kept.recommender.ranker,
            known=self._known(moment, users),
            events=self._events(moment, users),
            at=self._at(moment),
            basis=moment.basis,
            hidden=moment.kept.hidden,
            rows=moment.rows,
            items=self.items,
        )

    def _now(self, users: Sequence[str]) -> _Moment:
        """Read the store."""
        try:
            look = self._store.look(users)
            return _Moment(self._kept_at(look.counters), "history", look.newest, look.rows)
        except StoreDownError:
            if self._required:
                raise
            return _Moment(self._kept, "trained-history")

    def _kept_at(self, counters: Counters) -> _Kept:
        """Return what is kept, read anew where the counters moved."""
        if self._kept.counters == counters:
            return self._kept
        with self._lock:
            if self._kept.counters != counters:
                anew = counters.items < self._kept.counters.items  # another store is there now
                self._kept = self._read_anew(self._first if anew else self._kept, counters)
            return self._kept

    def _read_anew(self, kept: _Kept, counters: Counters) -> _Kept:
        recommender, withheld, hidden = kept.recommender, kept.withheld, kept.hidden
        unlisted = kept.unlisted
        if counters.items != kept.counters.items:
            changed = self._store.items(since=kept.counters.items)
            withheld, catalogue = restocked(
                changed, self.items, self.artifact.catalogue, recommender.catalogue, withheld
            )
            new = {state.item: state for state in changed if state.item not in self.items}
            unlisted = {**unlisted, **new}
            shelf = unlisted_shelf(list(unlisted.values()))
            recommender = recommender.restocked(catalogue, withheld, shelf)
        if counters.forgotten != kept.counters.forgotten:
            hashed, hashes = self._store.forgotten()
            hidden = frozenset(
                user for user in (self.users.ids if hashes else ()) if hashed(user) in hashes
            )
        return _Kept(counters, recommender, withheld, hidden, unlisted)

    def _known(self, moment: _Moment, users: Sequence[str]) -> list[bool]:
        live = set(moment.rows.users)
        return [
            place in live or (user in self.users and user not in moment.kept.hidden)
            for place, user in enumerate(users)
        ]

    def _events(self, moment: _Moment, users: Sequence[str]) -> Interactions:
        trained = super().events_of(users)
        hidden = [place for place, user in enumerate(users) if user in moment.kept.hidden]
        if hidden:
            trained = trained.where(~np.isin(trained.users, hidden))
        return with_events(trained, moment.rows, self.items, self.least_value)

    def _at(self, moment: _Moment) -> int | None:
        trained = self.artifact.reference_time
        if trained is None or moment.newest is None:
            return trained
        return max(trained, moment.newest)


def default_url(models: Path) -> str:
    """Return where the store of a folder of models is unless one says otherwise."""
    return f"sqlite:///{models / 'store.db'}"


def store_url(models: Path, url: str | None = None) -> str | None:
    """Return the store's URL: the one given, or that of a folder of models if there is one."""
    if url is not None:
        return url
    default = default_url(models)
    file = Store.at(default, create=False).file
    return None if file is not None and not file.exists() else default


def open_live(models: Path, url: str | None = None, *, required: bool = False) -> Recommender:
    """Return the recommender of the current model in `models`, with its store if there is one.

    Parameters
    ----------
    models
        The folder of published models.
    url
        The store's; None takes that of the folder, if it is there.
    required
        Whether a store that does not answer is an error.

    Raises
    ------
    ArtifactError
        Nothing is published there, or what is cannot be trusted.
    StoreError
        There is no store at the URL, or it is required and does not answer.
    """
    recommender = Recommender.open(models)
    found = store_url(models, url)
    if found is None:
        return recommender
    store = Store.at(found, create=False)
    if required:
        store.prepare()
    return LiveRecommender(recommender, store, required=required)
