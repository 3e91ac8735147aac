"""From the users of an arm to their lists, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.campaigns.lists import DoubleArray, Lists
from recsys.campaigns.opened import OpenArm
from recsys.errors import StoreError, UsageError
from recsys.interactions.tables import BoolArray, FloatArray, IntArray, LongArray
from recsys.recommender import Rules, Sight
from recsys.topk import TopK, top_k

BATCH = 256
"""Users scored together; those of one shard and arm are cut in their order, nothing else counts."""

_SMALL, _DENSE = 5_000, 100
"""With fewer items than `_SMALL` + `_DENSE` a place, lists are found quicker by scoring all."""

Repeats = Mapping[int, set[str]]


@dataclass(frozen=True)
class Asked:
    """What is wanted of the scores.

    Attributes
    ----------
    depth
        Length of the lists.
    at
        Reference time.
    fill
        Whether popular items fill lists up that the model leaves short.
    plain
        Whether limits of categories and variants, and diversity, wait until later.
    many
        Whether there are so many users that getting ready for them pays.
    device
        Where networks score.
    """

    depth: int
    at: int
    fill: bool
    plain: bool
    many: bool
    device: str


@dataclass(frozen=True, eq=False)
class Scored:
    """Lists of users, row for row.

    Attributes
    ----------
    lists
        Empty where nothing is known of the user and nothing popular is wanted, or scoring failed.
    known, history
        bool (n,): who is a user at all, and of whom there is a history.
    failures
        What went wrong with whom, by place.
    """

    lists: Lists
    known: BoolArray
    history: BoolArray
    failures: Mapping[int, str]


def score(
    arm: OpenArm, users: Sequence[str], repeats: Repeats, asked: Asked, *, popular: bool
) -> Scored:
    """Return the lists of an arm's users.

    Parameters
    ----------
    arm
        Model and rules.
    users
        Their ids.
    repeats
        Items that must not come back, by the user's place.
    asked
        What is wanted.
    popular
        Whether users without history get popular items.
    """
    scorer = _Scorer(arm, arm.recommender.look(users), repeats, asked)
    history = np.diff(scorer.sight.events.indptr) > 0
    cold = np.flatnonzero(~history) if popular else np.zeros(0, np.int64)
    parts: list[tuple[LongArray, Lists]] = [(cold, scorer.popular(cold))]
    failures: dict[int, str] = {}
    rows = np.flatnonzero(history)
    for start in range(0, len(rows), BATCH):
        parts += scorer.tried(rows[start : start + BATCH], failures)
    return Scored(
        _in_order(parts, len(users)), np.array(scorer.sight.known, np.bool_), history, failures
    )


class _Scorer:
    def __init__(self, arm: OpenArm, sight: Sight, repeats: Repeats, asked: Asked) -> None:
        self.arm, self.sight, self._repeats, self._asked = arm, sight, repeats, asked
        self._shelf = sight.ranker.shelf
        self._allowed = self._shelf.allowed(arm.rules)
        self._looks = arm.rules.look_at_the_list and not asked.plain

    def tried(self, rows: LongArray, failures: dict[int, str]) -> list[tuple[LongArray, Lists]]:
        """Return lists of these rows; a user who cannot be scored must not cost the others."""
        try:
            return [(rows, self._scored(rows))]
        except (UsageError, StoreError, OSError, MemoryError):  # whoever the user
            raise
        except Exception as error:  # whatever a model raises
            if len(rows) == 1:
                said = " ".join(str(error).split())
                failures[int(rows[0])] = f"{type(error).__name__}: {said}"
                return []
        half = len(rows) // 2
        return [*self.tried(rows[:half], failures), *self.tried(rows[half:], failures)]

    def popular(self, rows: LongArray) -> Lists:
        """Return popular items for users of whom nothing is known."""
        plain = [row for row in rows.tolist() if row not in self._repeats]
        others = [row for row in rows.tolist() if row in self._repeats]
        base = np.where(self._allowed, self._shelf.taken.popularity, np.float32(-np.inf))
        parts: list[tuple[LongArray, Lists]] = []
        if plain:
            one = self._listed(base[np.newaxis].copy(), None)
            parts.append((np.array(plain, np.int64), one.rows(np.zeros(len(plain), np.int64))))
        for start in range(0, len(others), BATCH):
            some = np.array(others[start : start + BATCH], np.int64)
            scores = np.repeat(base[np.newaxis], len(some), axis=0)
            self._mask_repeats(scores, some)
            parts.append((some, self._listed(scores, None)))
        return _in_order(parts, int(rows.max()) + 1 if len(rows) else 0).rows(rows)

    def _scored(self, rows: LongArray) -> Lists:
        deepest = self._asked.depth + max(len(self._repeats.get(row, ())) for row in rows.tolist())
        large = len(self._shelf.items) >= _SMALL + _DENSE * deepest
        if self._straight and (large or self._asked.device != "cpu"):
            return self._best_of_model(rows, deepest)
        rules = replace(self.arm.rules, min_score=None) if self._asked.fill else self.arm.rules
        events, done, parts = self.sight.events, 0, []
        for histories, scores in self.sight.ranker.scored(
            events, rows, rules=rules, at=self._asked.at
        ):
            self._mask_repeats(scores, rows[done : done + len(histories)])
            if not self._allowed.all():
                scores[:, ~self._allowed] = -np.inf
            done += len(histories)
            parts.append(self._listed(scores, self.arm.rules))
        return Lists.joined(parts)

    @property
    def _straight(self) -> bool:
        """Whether lists are the model's best, about which nothing else is to be known."""
        asked = self._asked
        needs_all = asked.fill or asked.plain or self._looks
        return asked.many and not needs_all and self.arm.rules.min_probability is None

    def _best_of_model(self, rows: LongArray, deepest: int) -> Lists:
        """Return lists without scoring all items; `deepest` has room for what comes out again."""
        self.arm.recommender.prepare(self._asked.device)
        rules, parts = self.arm.rules, []
        found = self.sight.ranker.top(
            self.sight.events, rows, k=deepest, rules=rules, at=self._asked.at
        )
        done = 0
        for histories, best in found:
            there = np.arange(best.items.shape[1]) < best.counts[:, None]
            if rules.min_score is not None:
                there &= best.scores >= np.float32(rules.min_score)
            for place, row in enumerate(rows[done : done + len(histories)].tolist()):
                if row in self._repeats:
                    there[place] &= ~np.isin(best.items[place], self._again(row))
            done += len(histories)
            parts.append(self._cut(best, there))
        return Lists.joined(parts)

    def _cut(self, best: TopK, there: BoolArray) -> Lists:
        """Return the first items of each row that are there, as many as are asked for."""
        there &= np.cumsum(there, axis=1) <= self._asked.depth
        return _lists(self.arm.numbers[best.items[there]], best.scores[there], there.sum(axis=1))

    def _mask_repeats(self, scores: FloatArray, rows: LongArray) -> None:
        for place, row in enumerate(rows.tolist()):
            scores[place, self._again(row)] = -np.inf

    def _again(self, row: int) -> list[int]:
        """Return the codes of the items that may not come again."""
        codes = map(self.arm.recommender.items.code, self._repeats.get(row, ()))
        return [code for code in codes if code is not None]

    def _listed(self, scores: FloatArray, rules: Rules | None) -> Lists:
        """Return the best of each row of masked scores; `rules` are None for popular items."""
        if not (self._asked.fill or self._asked.plain):  # then nobody asks what lies beyond
            items, counts = self._best(scores)
            return _lists(self.arm.numbers[items], scores[_rows_of(counts), items], counts)
        least = None if rules is None else rules.min_score
        own = scores > -np.inf if least is None else scores >= least
        eligible = own.sum(axis=1)
        ranked = scores
        short = np.flatnonzero(eligible < self._asked.depth)
        if self._asked.fill and rules is not None and len(short):
            ranked = scores.copy()
            ranked[short] = self._filled(scores[short], own[short])
            eligible = (scores > -np.inf).sum(axis=1)
        items, counts = self._best(ranked)
        row_of = _rows_of(counts)
        mine = np.bincount(row_of[own[row_of, items]], minlength=len(scores))
        lists = _lists(self.arm.numbers[items], scores[row_of, items], counts)
        mean, spread = _moments(scores, own) if self._asked.plain else (lists.mean, lists.spread)
        return replace(
            lists,
            own=mine.astype(np.int32),
            mean=mean,
            spread=spread,
            complete=counts >= eligible,
        )

    def _filled(self, scores: FloatArray, own: BoolArray) -> FloatArray:
        """Return scores in which items that are not the model's stand below, by popularity."""
        n = scores.shape[1]
        rank = np.empty(n)
        rank[np.argsort(-self._shelf.taken.popularity, kind="stable")] = np.arange(1, n + 1)
        finite = np.where(own, scores, np.nan)
        with np.errstate(all="ignore"):
            empty = ~own.any(axis=1, keepdims=True)
            low = np.where(empty, 0, np.nanmin(np.where(empty, 0, finite), axis=1, keepdims=True))
            high = np.where(empty, 0, np.nanmax(np.where(empty, 0, finite), axis=1, keepdims=True))
        width = np.maximum.reduce([high - low, np.abs(low), np.abs(high), np.ones_like(low)])
        below = (low - width * (rank / n)).astype(np.float32)
        return np.where(own, scores, np.where(scores > -np.inf, below, np.float32(-np.inf)))

    def _best(self, ranked: FloatArray) -> tuple[IntArray, LongArray]:
        """Return the codes of each row's best, one after the other, and how many each has."""
        if self._looks:
            chosen = [
                self._shelf.chosen(row, self._asked.depth, self.arm.rules)[0] for row in ranked
            ]
            counts = np.array([len(items) for items in chosen], np.int64)
            return np.concatenate([np.zeros(0, np.int32), *chosen]), counts
        best = top_k(ranked, self._asked.depth)
        there = np.arange(best.items.shape[1]) < best.counts[:, None]
        return best.items[there], best.counts.astype(np.int64)


def _rows_of(counts: LongArray) -> LongArray:
    return np.repeat(np.arange(len(counts)), counts)


def _lists(items: IntArray, scores: FloatArray, counts: LongArray) -> Lists:
    """Return lists of the model's alone."""
    empty = Lists.empty(len(counts))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(empty, offsets=offsets, items=items, scores=scores, own=counts.astype(np.int32))


def _moments(scores: FloatArray, own: BoolArray) -> tuple[DoubleArray, DoubleArray]:
    """Return mean and standard deviation of each row's own scores, 0 of none."""
    counts = np.maximum(own.sum(axis=1), 1)
    values = scores.astype(np.float64)
    values[~own] = 0  # in place from here on: these are the largest arrays of a quota
    mean = values.sum(axis=1) / counts
    values -= mean[:, None]
    values[~own] = 0
    return mean, np.sqrt(np.einsum("ij,ij->i", values, values) / counts)


def _in_order(parts: Sequence[tuple[LongArray, Lists]], n: int) -> Lists:
    """Return n lists in the order of their rows; those of rows that no part has are empty."""
    rows = np.concatenate([np.zeros(0, np.int64), *(some for some, _ in parts)])
    missing = np.setdiff1d(np.arange(n), rows)
    joined = Lists.joined([*(lists for _, lists in parts), Lists.empty(len(missing))])
    order = np.argsort(np.concatenate([rows, missing]), kind="stable")
    return joined.rows(order)
