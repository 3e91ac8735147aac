"""One published model with its data, answering by id."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.artifacts import Artifact, load_current
from recsys.errors import NotFoundError, UsageError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import BoolArray, FloatArray, Interactions
from recsys.recommender.answers import (
    Fallback,
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Recommendation,
    Rules,
    Suggestion,
)
from recsys.recommender.baskets import events_of
from recsys.recommender.search import TitleIndex, find_ids
from recsys.topk import top_k

MOST = 1000
"""The longest list that anyone may ask for."""

_BATCH = 256  # users scored together: the processor is busy, and their scores fit in memory
_NO_RULES = Rules()


class Recommender:
    """A published model with its data: lists for users, for histories given outright, for items.

    Nothing changes once it is open, so threads may share it.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self.model: str = artifact.manifest.model
        self.version: str = artifact.manifest.version
        self.users: IdMap = artifact.users
        self.items: IdMap = artifact.items
        self.catalogue: Catalogue = artifact.catalogue
        self.interactions: Interactions = artifact.interactions
        self.reference_time: int | None = artifact.reference_time

    @classmethod
    def open(cls, models: Path) -> Self:
        """Return the recommender of the current model in the folder `models`.

        Raises
        ------
        ArtifactError
            Nothing is published there, or what is cannot be trusted.
        """
        return cls(load_current(models))

    def recommend(
        self,
        user: str,
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
    ) -> Recommendation:
        """Return one user's list: `recommend_many` of one."""
        return self.recommend_many([user], k=k, rules=rules, fallback=fallback, at=at)[0]

    def recommend_many(
        self,
        users: Sequence[str],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
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

        Raises
        ------
        NotFoundError
            A user is unknown and the fallback is `none`.
        UsageError
            k is out of range.
        """
        _check(k)
        codes = [self.users.code(user) for user in users]
        if fallback == "none" and None in codes:
            raise NotFoundError("user", users[codes.index(None)])
        indptr = self.interactions.indptr
        scored = [c if c is not None and indptr[c] < indptr[c + 1] else None for c in codes]
        rows = np.array([code for code in scored if code is not None], np.int64)
        lists = self._rank(self.interactions, rows, k, rules, at)
        instead = self._without_history(k, rules, fallback) if None in scored else None
        return [
            Recommendation(user, instead.basis, instead.items, instead.note)
            if code is None and instead is not None
            else self._listed(user, next(lists), k, rules)
            for user, code in zip(users, scored, strict=True)
        ]

    def recommend_basket(
        self,
        entries: Sequence[HistoryEntry],
        *,
        k: int = 10,
        rules: Rules = _NO_RULES,
        fallback: Fallback = "popular",
        at: int | None = None,
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
            return self._without_history(k, rules, fallback)
        now = self.reference_time if at is None else at
        events = events_of(entries, self.items, self.interactions, now)
        return self._listed(None, next(self._rank(events, np.arange(1), k, rules, at)), k, rules)

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
        code = self.users.code(user)
        if code is None:
            raise NotFoundError("user", user)
        own = self.interactions.rows(np.array([code]))
        items = own.items.tolist()
        times = [None] * len(items) if own.times is None else own.times.tolist()
        # in the order of latest events: counting again moves to the end
        counts: dict[int, int] = {}
        for item in items:
            counts[item] = counts.pop(item, 0) + 1
        last = dict(zip(items, times, strict=True))
        return tuple(
            HistoryItem(self.items[item], self.catalogue.titles[item], count, last[item])
            for item, count in reversed(counts.items())
        )

    def find_items(self, query: str, limit: int = 20) -> tuple[ItemInfo, ...]:
        """Return items with every word of the query in title or id, whatever the case and accents.

        Titles that start with the query come first, then the most popular. A query without a word
        finds everything.
        """
        return tuple(self._info(item) for item in self._titles.find(query, limit))

    def find_users(self, query: str, limit: int = 20) -> tuple[str, ...]:
        """Return user ids that contain the query, whatever the case.

        Those that start with it come first, then the shortest.
        """
        return tuple(find_ids(self.users.ids, query, limit))

    def answer(self, recommendation: Recommendation) -> dict[str, Any]:
        """Return a list as the API and `--json` show it."""
        shown: dict[str, Any] = {
            "user": recommendation.user,
            "model": self.model,
            "version": self.version,
            "basis": recommendation.basis,
            "items": [asdict(suggestion) for suggestion in recommendation.items],
        }
        return shown if recommendation.note is None else {**shown, "note": recommendation.note}

    def similar_answer(self, item: str, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
        """Return what `similar` found as the API and `--json` show it."""
        return {"item": item, "items": [asdict(suggestion) for suggestion in suggestions]}

    def _rank(
        self,
        events: Interactions,
        rows: npt.NDArray[np.int64],
        k: int,
        rules: Rules,
        at: int | None,
    ) -> Iterator[tuple[Suggestion, ...]]:
        """Score the users at `rows` of `events` in batches and yield each one's list."""
        allowed = self._allowed(rules)
        at = self.reference_time if at is None else at
        for start in range(0, len(rows), _BATCH):
            batch = events.rows(rows[start : start + _BATCH])
            histories = self._artifact.weighting.histories(batch, at)
            scores = _own(self._artifact.model.score(histories))  # (b, n_items)
            if not rules.include_seen:
                histories.mask(scores)
            yield from self._best(scores, allowed, k)

    def _best(
        self, scores: FloatArray, allowed: BoolArray, k: int
    ) -> Iterator[tuple[Suggestion, ...]]:
        """Yield the k best allowed items of each row of scores, (b, n_items), changed in place."""
        if not allowed.all():
            scores[:, ~allowed] = -np.inf
        best, ids, titles = top_k(scores, k), self.items.ids, self.catalogue.titles
        for row in range(len(scores)):
            items, values = best.row(row)
            ranked = enumerate(zip(items.tolist(), values.tolist(), strict=True), 1)
            yield tuple(Suggestion(rank, ids[i], titles[i], score) for rank, (i, score) in ranked)

    def _without_history(self, k: int, rules: Rules, fallback: Fallback) -> Recommendation:
        if fallback == "none":
            return Recommendation(None, "history", (), "no history to recommend from")
        popular = next(self._best(self._popularity[np.newaxis].copy(), self._allowed(rules), k))
        return Recommendation(None, "popular", popular, self._note(len(popular), k, rules))

    def _listed(
        self, user: str | None, items: tuple[Suggestion, ...], k: int, rules: Rules
    ) -> Recommendation:
        return Recommendation(user, "history", items, self._note(len(items), k, rules))

    def _note(self, found: int, k: int, rules: Rules) -> str | None:
        if found == k:
            return None
        if rules.category is not None and rules.category not in self._categories:
            return f"no item is in category {rules.category!r}"
        return f"only {found} of {k}: no other item may stand in this list"

    def _allowed(self, rules: Rules) -> BoolArray:
        """Return bool (n_items,): where the rules on items hold, whoever the user is."""
        if rules.category is None:
            allowed = np.ones(len(self.items), np.bool_)
        else:
            allowed = np.zeros(len(self.items), np.bool_)
            allowed[self._categories.get(rules.category, [])] = True
        excluded = (self.items.code(item) for item in rules.exclude)
        allowed[[code for code in excluded if code is not None]] = False
        return allowed

    def _info(self, item: int) -> ItemInfo:
        price = float(self.catalogue.prices[item])
        title, category = self.catalogue.titles[item], self.catalogue.categories[item]
        return ItemInfo(self.items[item], title, category, None if math.isnan(price) else price)

    @cached_property
    def _popularity(self) -> FloatArray:
        """float32 (n_items,): how many users took each item."""
        events = self.interactions
        pairs = sp.csr_array(
            (np.ones(events.n_events, np.bool_), events.items.copy(), events.indptr.copy()),
            shape=(events.n_users, events.n_items),
        )
        pairs.sum_duplicates()
        return np.bincount(pairs.indices, minlength=events.n_items).astype(np.float32)

    @cached_property
    def _categories(self) -> dict[str, list[int]]:
        """The items of each category."""
        items: dict[str, list[int]] = {}
        for item, categories in enumerate(self.catalogue.categories):
            for category in categories:
                items.setdefault(category, []).append(item)
        return items

    @cached_property
    def _titles(self) -> TitleIndex:
        return TitleIndex(self.catalogue.titles, self.items.ids, self._popularity)


def _check(k: int) -> None:
    if not 1 <= k <= MOST:
        raise UsageError(f"k is {k}: it must be from 1 to {MOST}")


def _own(scores: FloatArray) -> FloatArray:
    """Return scores that may be written to: a model may answer with a view of what it learnt."""
    return scores if scores.flags.owndata and scores.flags.writeable else scores.copy()
