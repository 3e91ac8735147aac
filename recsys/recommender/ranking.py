"""From histories to lists: scored by the model, cut to what may stand there, explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys.artifacts import Artifact
from recsys.interactions.tables import FloatArray, Histories, Interactions
from recsys.recommender.answers import Contribution, Suggestion
from recsys.recommender.explaining import contributions
from recsys.recommender.rules import Rules
from recsys.recommender.shelf import Shelf

_BATCH = 256  # users scored together: the processor is busy, and their scores fit in memory
_REASONS = 3  # of each suggestion


class Ranker:
    """A model over a shelf.

    Parameters
    ----------
    artifact
        The model, with its weighting.
    shelf
        What its items are.
    """

    def __init__(self, artifact: Artifact, shelf: Shelf) -> None:
        self._model, self._weighting = artifact.model, artifact.weighting
        self.shelf = shelf

    def lists(
        self,
        events: Interactions,
        rows: npt.NDArray[np.int64],
        *,
        k: int,
        rules: Rules,
        at: int | None,
        why: bool,
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
        """
        allowed = self.shelf.allowed(rules)
        for start in range(0, len(rows), _BATCH):
            batch = events.rows(rows[start : start + _BATCH])
            histories = self._weighting.histories(batch, at)
            scores = _own(self._model.score(histories))  # (b, n_items)
            if not rules.include_seen:
                histories.mask(scores)
            lists = self.shelf.best(scores, allowed, k, rules)
            for row, found in enumerate(lists):
                yield self._explained(found, histories.rows(slice(row, row + 1))) if why else found

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
        left_out, _, added = contributions(self._model.score, history, items)
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


def _own(scores: FloatArray) -> FloatArray:
    """Return scores that may be written to: a model may answer with a view of what it learnt."""
    return scores if scores.flags.owndata and scores.flags.writeable else scores.copy()
