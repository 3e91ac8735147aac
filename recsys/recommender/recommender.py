"""One published model with its data, answering by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from recsys.artifacts import Artifact, load_current
from recsys.errors import NotFoundError, UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import BoolArray, Interactions
from recsys.models.scoring import Scorer
from recsys.recommender.answers import (
    Explanation,
    Fallback,
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Recommendation,
    Suggestion,
)
from recsys.recommender.baskets import events_of
from recsys.recommender.newcomers import nothing_unlisted
from recsys.recommender.ranking import Ranker
from recsys.recommender.rules import Rules
from recsys.recommender.search import find_ids
from recsys.recommender.shelf import Shelf, Taken
from recsys.recommender.sight import Sight

MOST = 1000
"""The longest list that anyone may ask for."""

_NO_RULES = Rules()


class Recommender:
    """A published model with its data: lists for users, for histories given outright, for items.

    Nothing changes once it is open, so threads may share it.
    """

    def __init__(
        self,
        artifact: Artifact,
        shelf: Shelf | None = None,
        unlisted: Shelf | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        self.artifact = artifact
        self.model: str = artifact.manifest.model
        self.version: str = artifact.manifest.version
        self.users: IdMap = artifact.users
        self.items: IdMap = artifact.items
        self.interactions: Interactions = artifact.interactions
        shelf = shelf or Shelf(artifact.items, artifact.catalogue, Taken(artifact.interactions))
        scorer = scorer or Scorer(artifact.model)
        self.ranker = Ranker(artifact, shelf, unlisted or nothing_unlisted(), scorer)

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
        return self.ranker.shelf.catalogue

    def restocked(
        self, catalogue: Catalogue, withheld: BoolArray, unlisted: Shelf | None = None
    ) -> Recommender:
        """Return the same model with another catalogue, without the `withheld` items in any list.

        Parameters
        ----------
        catalogue
            What is known of the items, in their order.
        withheld
            bool (n_items,).
        unlisted
            Products that the model does not know; None for none.
        """
        shelf = self.ranker.shelf.restocked(catalogue, withheld)
        return Recommender(self.artifact, shelf, unlisted, self.ranker.scorer)

    def prepare(self, device: str = "cpu") -> None:
        """Make ready what takes a second and some memory, and pays from some hundred lists on."""
        self.ranker.scorer.prepare(device)

    def look(self, users: Sequence[str]) -> Sight:
        """Return what an answer for these users rests on; every answer looks once."""
        return Sight(self.ranker, self.known(users), self.events_of(users), self.reference_time)

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
        uncertainty: bool = False,
    ) -> Recommendation:
        """Return one user's list: `recommend_many` of one."""
        (found,) = self.recommend_many(
            [user], k=k, rules=rules, fallback=fallback, at=at, why=why, uncertainty=uncertainty
        )
        return found

    def recommend_many(
        self,
        users: Sequence[str],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
        why: bool = False,
        uncertainty: bool = False,
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
        uncertainty
            Whether each says how likely it is taken, and how stable its place is.

        Raises
        ------
        NotFoundError
            A user is unknown and the fallback is `none`.
        UsageError
            k is out of range.
        """
        _check(k)
        sight = self.look(users)
        if fallback == "none" and not all(sight.known):
            raise NotFoundError("user", users[sight.known.index(False)])
        scored = np.diff(sight.events.indptr) > 0
        at = sight.at if at is None else at
        rows = np.flatnonzero(scored)
        unlisted = sight.unlisted_by_user() if rules.newcomers else {}
        lists = sight.ranker.lists(
            sight.events, rows, k=k, rules=rules, at=at, why=why, unlisted=unlisted
        )
        instead = None if scored.all() else _without_history(sight, k, rules, fallback, why=why)
        found = [
            replace(instead, user=user)
            if instead is not None and not has_history
            else _listed(sight, user, next(lists), k, rules)
            for user, has_history in zip(users, scored, strict=True)
        ]
        if not uncertainty:
            return found
        return sight.ranker.unsure(found, sight.events, rows, k=k, rules=rules, at=at)

    def recommend_basket(
        self,
        entries: Sequence[HistoryEntry],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
        why: bool = False,
        uncertainty: bool = False,
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
        sight = replace(self.look([]), basis="history")  # whatever is known of others
        if not entries:
            instead = _without_history(sight, k, rules, fallback, why=why)
            return replace(instead, uncertainty=uncertainty)
        now = sight.at if at is None else at
        events = events_of(entries, self.items, self.interactions, now)
        lists = sight.ranker.lists(events, np.arange(1), k=k, rules=rules, at=now, why=why)
        found = _listed(sight, None, next(lists), k, rules)
        if not uncertainty:
            return found
        return sight.ranker.unsure([found], events, np.arange(1), k=k, rules=rules, at=now)[0]

    def explain(self, user: str, item: str, *, at: int | None = None) -> Explanation:
        """Return how much each item of a user's history adds to an item's score, left out in turn.

        The others keep their weights: see `explaining.contributions`. `at` is as for a list.

        Raises
        ------
        NotFoundError
            There is no such user, or no such item.
        """
        sight = self.look([user])
        if not sight.known[0]:
            raise NotFoundError("user", user)
        code = self.items.code(item)
        if code is None:
            raise NotFoundError("item", item)
        at = sight.at if at is None else at
        score, because = sight.ranker.explain(code, sight.events, at)
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
        """Return the distinct items that a user took, the latest first, unknown items included.

        Raises
        ------
        NotFoundError
            There is no such user.
        """
        sight = self.look([user])
        if not sight.known[0]:
            raise NotFoundError("user", user)
        return sight.history(self.items)

    def title(self, item: str) -> str:
        """Return what to call an item: its id, where nothing is known of it."""
        return self.look([]).ranker.title(item)

    def find_items(self, query: str, limit: int = 20) -> tuple[ItemInfo, ...]:
        """Return items with every word of the query in title or id, whatever the case and accents.

        Titles that start with the query come first, then the most popular. A query without a word
        finds everything.
        """
        return self.look([]).ranker.shelf.find(query, limit)

    def items_of(self, ids: Sequence[str]) -> tuple[ItemInfo, ...]:
        """Return what is known of these items, in the order asked; unknown ids are left out."""
        ranker = self.look([]).ranker
        found = (ranker.info(item) for item in ids)
        return tuple(info for info in found if info is not None)

    def categories(self) -> tuple[tuple[str, int], ...]:
        """Return each category with how many of the model's items it has, most first."""
        return self.look([]).ranker.shelf.categories

    def find_users(self, query: str, limit: int = 20) -> tuple[str, ...]:
        """Return the model's user ids that contain the query, whatever the case.

        Those that start with it come first, then the shortest.
        """
        hidden = self.look([]).hidden
        found = find_ids(self.users.ids, query, limit + len(hidden))
        return tuple(user for user in found if user not in hidden)[:limit]

    def answer(self, recommendation: Recommendation) -> dict[str, Any]:
        """Return a list as the API and `--json` show it."""
        return recommendation.shown(self.model, self.version)

    def similar_answer(self, item: str, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
        """Return what `similar` found as the API and `--json` show it."""
        return {"item": item, "items": [suggestion.shown() for suggestion in suggestions]}


def _without_history(
    sight: Sight, k: int, rules: Rules, fallback: Fallback, *, why: bool
) -> Recommendation:
    if fallback == "none":
        return Recommendation(None, "history", (), "no history to recommend from")
    popular = sight.ranker.popular(k, rules, why=why)
    return _listed(replace(sight, basis="popular"), None, popular, k, rules)


def _listed(
    sight: Sight, user: str | None, items: tuple[Suggestion, ...], k: int, rules: Rules
) -> Recommendation:
    note = sight.ranker.shelf.note(len(items), k, rules)
    return Recommendation(user, sight.basis, items, note)


def _check(k: int) -> None:
    if not 1 <= k <= MOST:
        raise UsageError(f"k is {k}: it must be from 1 to {MOST}")
