"""One published model with its data, answering by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from recsys.artifacts import Artifact, load_current
from recsys.errors import NotFoundError, UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import BoolArray, Interactions
from recsys.recommender.answers import (
    Basis,
    Explanation,
    Fallback,
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Recommendation,
    Suggestion,
)
from recsys.recommender.baskets import events_of
from recsys.recommender.ranking import Ranker
from recsys.recommender.rules import Rules
from recsys.recommender.search import find_ids
from recsys.recommender.shelf import Shelf, Taken

MOST = 1000
"""The longest list that anyone may ask for."""

_NO_RULES = Rules()


class Recommender:
    """A published model with its data: lists for users, for histories given outright, for items.

    Nothing changes once it is open, so threads may share it.
    """

    def __init__(self, artifact: Artifact, shelf: Shelf | None = None) -> None:
        self.artifact = artifact
        self.model: str = artifact.manifest.model
        self.version: str = artifact.manifest.version
        self.users: IdMap = artifact.users
        self.items: IdMap = artifact.items
        self.interactions: Interactions = artifact.interactions
        self._shelf = shelf or Shelf(
            artifact.items, artifact.catalogue, Taken(artifact.interactions)
        )
        self._ranker = Ranker(artifact, self._shelf)

    @classmethod
    def open(cls, models: Path) -> Self:
        """Return the recommender of the current model in the folder `models`.

        Raises
        ------
        ArtifactError
            Nothing is published there, or what is cannot be trusted.
        """
        return cls(load_current(models))

    @property
    def reference_time(self) -> int | None:
        """What ages count from, microseconds since 1970 UTC: the newest event; None without."""
        return self.artifact.reference_time

    @property
    def least_value(self) -> float | None:
        """Value below which an event was left out of training; None where all were taken."""
        spec: Mapping[str, Any] = self.artifact.manifest.training.get("dataset", {})
        least: float | None = spec.get("clean", {}).get("min_value")
        return least

    @property
    def catalogue(self) -> Catalogue:
        """What is known of the items, in the order of `items`."""
        return self._shelf.catalogue

    def restocked(self, catalogue: Catalogue, withheld: BoolArray) -> Recommender:
        """Return the same model with another catalogue, without the `withheld` items in any list.

        Parameters
        ----------
        catalogue
            What is known of the items, in their order.
        withheld
            bool (n_items,).
        """
        return Recommender(self.artifact, self._shelf.restocked(catalogue, withheld))

    def known(self, users: Sequence[str]) -> list[bool]:
        """Return of each id whether it is a user's."""
        return [user in self.users for user in users]

    def events_of(self, users: Sequence[str]) -> Interactions:
        """Return the events that the model was trained on, a row a user; unknown ones have none."""
        codes = [self.users.code(user) for user in users]
        found = np.array([code for code in codes if code is not None], np.int64)
        rows = self.interactions.rows(found)
        lengths = np.zeros(len(codes), np.int64)
        lengths[[code is not None for code in codes]] = np.diff(rows.indptr)
        return replace(rows, indptr=np.concatenate([[0], np.cumsum(lengths)]))

    def recommend(
        self,
        user: str,
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
        why: bool = False,
    ) -> Recommendation:
        """Return one user's list: `recommend_many` of one."""
        many = self.recommend_many([user], k=k, rules=rules, fallback=fallback, at=at, why=why)
        return many[0]

    def recommend_many(
        self,
        users: Sequence[str],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
        why: bool = False,
    ) -> list[Recommendation]:
        """Return each user's list, in the order asked.

        Parameters
        ----------
        users
            Ids. Those that are unknown or have no history get popular items.
        k
            Length of the lists, 1 to 1000.
        rules
            What may stand in them.
        fallback
            `none` refuses an unknown user, and gives an empty list to one without history.
        at
            Reference time for ages, microseconds since 1970 UTC; `reference_time` where None.
        why
            Whether each suggestion says what of the history adds most to its score.

        Raises
        ------
        NotFoundError
            A user is unknown and the fallback is `none`.
        UsageError
            k is out of range.
        """
        return self.recommend_events(
            users,
            self.events_of(users),
            self.known(users),
            k=k,
            rules=rules,
            fallback=fallback,
            at=at,
            why=why,
        )

    def recommend_events(
        self,
        users: Sequence[str],
        events: Interactions,
        known: Sequence[bool],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
        why: bool = False,
        basis: Basis = "history",
    ) -> list[Recommendation]:
        """Return each user's list for a history given as events.

        Parameters
        ----------
        users, events
            Ids, and row for row what they took.
        known
            Whether each is a user at all.
        k, rules, fallback, at, why
            As `recommend_many` takes them; so is what it raises.
        basis
            What to call such a history.
        """
        _check(k)
        if fallback == "none" and not all(known):
            raise NotFoundError("user", users[known.index(False)])
        scored = np.diff(events.indptr) > 0
        at = self.reference_time if at is None else at
        rows = np.flatnonzero(scored)
        lists = self._ranker.lists(events, rows, k=k, rules=rules, at=at, why=why)
        instead = None if scored.all() else self._without_history(k, rules, fallback, why)
        return [
            replace(instead, user=user)
            if instead is not None and not has_history
            else self._listed(user, next(lists), k, rules, basis)
            for user, has_history in zip(users, scored, strict=True)
        ]

    def recommend_basket(
        self,
        entries: Sequence[HistoryEntry],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
        why: bool = False,
    ) -> Recommendation:
        """Return the list for a history given outright, oldest entry first.

        It takes the path of a stored history: the same events get the same list. An empty one gets
        popular items, or none with fallback `none`. Parameters are those of `recommend_many`.

        Raises
        ------
        NotFoundError
            An entry names an unknown item.
        UsageError
            k is out of range, an entry's value is not finite or its time is beyond any calendar.
        """
        _check(k)
        if not entries:
            return self._without_history(k, rules, fallback, why)
        now = self.reference_time if at is None else at
        events = events_of(entries, self.items, self.interactions, now)
        lists = self._ranker.lists(events, np.arange(1), k=k, rules=rules, at=now, why=why)
        return self._listed(None, next(lists), k, rules, "history")

    def explain(self, user: str, item: str, *, at: int | None = None) -> Explanation:
        """Return how much each item of a user's history adds to an item's score, left out in turn.

        The others keep their weights: see `explaining.contributions`. `at` is as for a list.

        Raises
        ------
        NotFoundError
            There is no such user, or no such item.
        """
        return self.explain_events(user, item, self.events_of([user]), self.known([user])[0], at=at)

    def explain_events(
        self, user: str, item: str, events: Interactions, known: bool, *, at: int | None = None
    ) -> Explanation:
        """Return what `explain` does for a history given as events, of one row."""
        if not known:
            raise NotFoundError("user", user)
        code = self.items.code(item)
        if code is None:
            raise NotFoundError("item", item)
        at = self.reference_time if at is None else at
        score, because = self._ranker.explain(code, events, at)
        return Explanation(user, item, score, because)

    def similar(self, item: str, *, k: int = 10) -> tuple[Suggestion, ...]:
        """Return what suits someone of whom only this item is known, the item itself left out.

        Raises
        ------
        NotFoundError
            There is no such item.
        UsageError
            k is out of range.
        """
        return self.recommend_basket([HistoryEntry(item)], k=k).items

    def history(self, user: str) -> tuple[HistoryItem, ...]:
        """Return the distinct items that a user took, the latest first.

        Raises
        ------
        NotFoundError
            There is no such user.
        """
        if user not in self.users:
            raise NotFoundError("user", user)
        own = self.events_of([user])
        times = [None] * own.n_events if own.times is None else own.times.tolist()
        items = [self.items[item] for item in own.items]
        return self.taken_items(zip(items, times, strict=True))

    def taken_items(self, events: Iterable[tuple[str, int | None]]) -> tuple[HistoryItem, ...]:
        """Return the distinct items of events (id and time, oldest first), the latest first.

        An item that is not in the catalogue has its id for a title.
        """
        # in the order of latest events: counting again moves to the end
        counts: dict[str, int] = {}
        last: dict[str, int | None] = {}
        for item, time in events:
            counts[item] = counts.pop(item, 0) + 1
            last[item] = time
        return tuple(
            HistoryItem(item, self._shelf.title(item), count, last[item])
            for item, count in reversed(counts.items())
        )

    def find_items(self, query: str, limit: int = 20) -> tuple[ItemInfo, ...]:
        """Return items with every word of the query in title or id, whatever the case and accents.

        Titles that start with the query come first, then the most popular. A query without a word
        finds everything.
        """
        return self._shelf.find(query, limit)

    def find_users(self, query: str, limit: int = 20) -> tuple[str, ...]:
        """Return user ids that contain the query, whatever the case.

        Those that start with it come first, then the shortest.
        """
        return tuple(find_ids(self.users.ids, query, limit))

    def answer(self, recommendation: Recommendation) -> dict[str, Any]:
        """Return a list as the API and `--json` show it."""
        return recommendation.shown(self.model, self.version)

    def similar_answer(self, item: str, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
        """Return what `similar` found as the API and `--json` show it."""
        return {"item": item, "items": [suggestion.shown() for suggestion in suggestions]}

    def _without_history(
        self, k: int, rules: Rules, fallback: Fallback, why: bool
    ) -> Recommendation:
        if fallback == "none":
            return Recommendation(None, "history", (), "no history to recommend from")
        return self._listed(None, self._ranker.popular(k, rules, why=why), k, rules, "popular")

    def _listed(
        self, user: str | None, items: tuple[Suggestion, ...], k: int, rules: Rules, basis: Basis
    ) -> Recommendation:
        return Recommendation(user, basis, items, self._shelf.note(len(items), k, rules))


def _check(k: int) -> None:
    if not 1 <= k <= MOST:
        raise UsageError(f"k is {k}: it must be from 1 to {MOST}")
