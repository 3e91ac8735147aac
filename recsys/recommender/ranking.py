"""From histories to lists: scored by the model, cut to what may stand there, explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from recsys.artifacts import Artifact
from recsys.interactions.tables import (
    MICROSECONDS_PER_DAY,
    BoolArray,
    FloatArray,
    Histories,
    IntArray,
    Interactions,
)
from recsys.models.scoring import Scorer
from recsys.recommender.answers import Contribution, ItemInfo, Recommendation, Suggestion
from recsys.recommender.explaining import contributions, main_contributions
from recsys.recommender.newcomers import Newcomers
from recsys.recommender.rules import Rules
from recsys.recommender.shelf import Shelf
from recsys.recommender.uncertainty import Uncertainty
from recsys.topk import TopK

_BATCH = 256  # users scored together: the processor is busy, and their scores fit in memory
_REASONS = 3  # of each suggestion
_NOTHING: Mapping[int, AbstractSet[str]] = MappingProxyType({})


class Ranker:
    """A model over a shelf.

    Parameters
    ----------
    artifact
        The model, with its weighting.
    shelf
        What its items are.
    unlisted
        Products that it does not know.
    scorer
        What makes lists of the model.
    """

    def __init__(self, artifact: Artifact, shelf: Shelf, unlisted: Shelf, scorer: Scorer) -> None:
        self._model, self._weighting = artifact.model, artifact.weighting
        self.scorer = scorer
        self._trained, self._artifact = artifact.interactions, artifact
        self.shelf, self.unlisted = shelf, unlisted

    def lists(
        self,
        events: Interactions,
        rows: npt.NDArray[np.int64],
        *,
        k: int,
        rules: Rules,
        at: int | None,
        why: bool,
        unlisted: Mapping[int, AbstractSet[str]] = _NOTHING,
    ) -> Iterator[tuple[Suggestion, ...]]:
        """Score the users at `rows` of `events` in batches and yield each one's list.

        Parameters
        ----------
        events, rows
            What users took, and which of them to score.
        k, rules
            How many, of what.
        at
            Reference time for ages.
        why
            Whether to say what of the history adds most to each score.
        unlisted
            What users took that the model does not know, by their row of `events`.
        """
        spare = rules.newcomers if rules.look_at_the_list else 0
        users = iter(rows.tolist())
        for histories, lists in self._best(events, rows, k=k + spare, rules=rules, at=at):
            for row, (found, user) in enumerate(zip(lists, users, strict=False)):
                if not (why or rules.newcomers):
                    yield found
                    continue
                history = histories.rows(slice(row, row + 1))
                explained = self._explained(found, history) if why else found
                seen = unlisted.get(user, frozenset())
                yield (
                    self.newcomers.placed(explained, history, k=k, rules=rules, seen=seen, why=why)
                    if rules.newcomers
                    else explained
                )

    def _best(
        self,
        events: Interactions,
        rows: npt.NDArray[np.int64],
        *,
        k: int,
        rules: Rules,
        at: int | None,
    ) -> Iterator[tuple[Histories, Iterator[tuple[Suggestion, ...]]]]:
        """Yield the histories at `rows`, batch by batch, with the list of each."""
        allowed = self.shelf.allowed(rules)
        if rules.look_at_the_list or rules.min_probability is not None:
            for histories, scores in self.scored(events, rows, rules=rules, at=at):
                yield histories, self.shelf.best(scores, allowed, k, rules)
            return
        for histories, top in self.top(events, rows, k=k, rules=rules, at=at):
            lists = (_reaching(*top.row(row), rules.min_score) for row in range(len(histories)))
            yield histories, (self.shelf.suggestions(*found) for found in lists)

    def top(
        self,
        events: Interactions,
        rows: npt.NDArray[np.int64],
        *,
        k: int,
        rules: Rules,
        at: int | None,
    ) -> Iterator[tuple[Histories, TopK]]:
        """Yield the histories at `rows`, batch by batch, with the k best items of each.

        Of the rules, those on items and on what was taken hold; the others are the caller's.
        """
        allowed = self.shelf.allowed(rules)
        for histories in self._histories(events, rows, at):
            barred = None if rules.include_seen else _seen(histories, rules.seen_days, at)
            yield histories, self.scorer.top(histories, k, allowed=allowed, barred=barred)

    def _histories(
        self, events: Interactions, rows: npt.NDArray[np.int64], at: int | None
    ) -> Iterator[Histories]:
        for start in range(0, len(rows), _BATCH):
            yield self._weighting.histories(events.rows(rows[start : start + _BATCH]), at)

    @cached_property
    def newcomers(self) -> Newcomers:
        """The products that the model knows little of."""
        events = np.bincount(self._trained.items, minlength=len(self.shelf.items))
        return Newcomers(self.shelf, self.unlisted, events)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Says how sure lists are."""
        return Uncertainty(self._artifact, self.shelf)

    def unsure(
        self,
        found: Sequence[Recommendation],
        events: Interactions,
        rows: npt.NDArray[np.int64],
        *,
        k: int,
        rules: Rules,
        at: int | None,
    ) -> list[Recommendation]:
        """Return the lists, one a row of `events`, with how sure they are; that is known at `rows`.

        The other parameters are those with which they were made.
        """
        unsure = [replace(one, uncertainty=True) for one in found]
        histories, allowed = (
            self._weighting.histories(events.rows(rows), at),
            self.shelf.allowed(rules),
        )
        for start, some in histories.batches(_BATCH):
            places = rows[start : start + len(some)].tolist()
            lists = [found[place].items for place in places]
            sure = self.uncertainty.added(lists, some, k=k, allowed=allowed)
            for place, items in zip(places, sure, strict=True):
                notes = [note for note in (found[place].note, self.uncertainty.note) if note]
                unsure[place] = replace(
                    unsure[place], items=items, note="; ".join(notes) if notes else None
                )
        return unsure

    def title(self, item: str) -> str:
        """Return what to call an item, known to the model or not."""
        return (self.unlisted if item in self.unlisted.items else self.shelf).title(item)

    def info(self, item: str) -> ItemInfo | None:
        """Return what is known of an item, known to the model or not; None for nothing."""
        return self.shelf.info(item) or self.unlisted.info(item)

    def scored(
        self, events: Interactions, rows: npt.NDArray[np.int64], *, rules: Rules, at: int | None
    ) -> Iterator[tuple[Histories, FloatArray]]:
        """Yield the histories at `rows`, batch by batch, with scores (b, n_items) to write to.

        What the rules leave out for a user's sake (seen, scored too low, or unlikely) is at −inf.
        """
        for histories in self._histories(events, rows, at):
            scores = self.scorer.score(histories)
            if rules.min_probability is not None:
                unlikely = self.uncertainty.unlikely(histories, scores, rules.min_probability)
                scores[unlikely] = -np.inf
            if not rules.include_seen:
                scores[histories.cells(_seen(histories, rules.seen_days, at))] = -np.inf
            if rules.min_score is not None:
                scores[scores < rules.min_score] = -np.inf
            yield histories, scores

    def popular(self, k: int, rules: Rules, *, why: bool) -> tuple[Suggestion, ...]:
        """Return what suits someone of whom nothing is known; nothing speaks for it, then."""
        popularity = self.shelf.taken.popularity[np.newaxis].copy()
        found = next(self.shelf.best(popularity, self.shelf.allowed(rules), k, rules))
        return tuple(replace(each, because=()) for each in found) if why else found

    def explain(
        self, item: int, events: Interactions, at: int | None
    ) -> tuple[float, tuple[Contribution, ...]]:
        """Return an item's score for a user, `events` of one row, and what adds how much to it."""
        if not events.n_events:
            return float(self.shelf.taken.popularity[item]), ()
        history = self._weighting.histories(events, at)
        left_out, scores, added = contributions(self._model.score, history, np.array([item]))
        return float(scores[0]), self._reasons(left_out.tolist(), added[:, 0])

    def _explained(
        self, found: tuple[Suggestion, ...], history: Histories
    ) -> tuple[Suggestion, ...]:
        items = np.array([self.shelf.items.code(each.item) for each in found], np.int64)
        left_out, added = main_contributions(self._model.score, history, items)
        codes = left_out.tolist()
        return tuple(
            replace(each, because=self._reasons(codes, added[:, place], _REASONS))
            for place, each in enumerate(found)
        )

    def _reasons(
        self, left_out: list[int], added: FloatArray, most: int | None = None
    ) -> tuple[Contribution, ...]:
        """Return the contributions, (m,), the most first, of equal ones the lower item."""
        ids, titles = self.shelf.items.ids, self.shelf.catalogue.titles
        order = np.argsort(-added, kind="stable")[:most]
        return tuple(
            Contribution(ids[left_out[place]], titles[left_out[place]], float(added[place]))
            for place in order.tolist()
        )


def _seen(histories: Histories, days: float | None, at: int | None) -> BoolArray:
    """Return bool (nnz,): what was taken within so many days before `at`, or ever."""
    if days is None or at is None or histories.times is None:
        return np.ones(histories.matrix.nnz, np.bool_)
    recent: BoolArray = histories.times >= at - days * MICROSECONDS_PER_DAY
    return recent


def _reaching(
    items: IntArray, scores: FloatArray, least: float | None
) -> tuple[IntArray, FloatArray]:
    """Return the beginning of a list, best first, whose scores are not below `least`."""
    if least is None:
        return items, scores
    n = np.count_nonzero(scores >= np.float32(least))
    return items[:n], scores[:n]
