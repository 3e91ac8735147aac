"""How sure a list is: two figures for each item that measure different things.

`probability`: how likely the user takes the item, calibrated on users who were held out (see
`recsys.recommender.calibration`). `stability`: whether the item would still be listed, were the
user's taste drawn anew from what the model thinks it may be. The second is not calibrated, and a
stable item need not be a likely one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recsys.artifacts import Artifact
from recsys.errors import UsageError
from recsys.interactions.tables import BoolArray, FloatArray, Histories
from recsys.models.variational import Variational
from recsys.recommender.answers import Suggestion
from recsys.recommender.calibration import Calibration, features
from recsys.recommender.shelf import Shelf
from recsys.topk import top_k

Doubles = npt.NDArray[np.float64]

SAMPLES = 100
"""Latents drawn from each user's posterior."""

_SEED = 0  # the same draws for everyone, each time: an answer can be repeated


class Uncertainty:
    """Says how sure the lists of a model are.

    Parameters
    ----------
    artifact
        The model with its calibration, if it has one.
    shelf
        What its items are.
    """

    def __init__(self, artifact: Artifact, shelf: Shelf) -> None:
        self._artifact, self._shelf = artifact, shelf
        self._model = artifact.model

    @property
    def note(self) -> str | None:
        """Why a figure is missing; None where both are there."""
        missing = []
        if self._calibration is None:
            missing.append("probability: the model was published without one; train it anew")
        if not isinstance(self._model, Variational):
            missing.append("stability: only variational models (mult-vae, recvae) have one")
        return "; ".join(missing) or None

    def added(
        self,
        found: Sequence[tuple[Suggestion, ...]],
        histories: Histories,
        *,
        k: int,
        allowed: BoolArray,
    ) -> list[tuple[Suggestion, ...]]:
        """Return the lists with the figures.

        Items of the history, and products that the model knows little of, have neither.

        Parameters
        ----------
        found
            A list for each history.
        histories
            What they were made of.
        k
            How long they were to be.
        allowed
            bool (n_items,): what could stand in them.
        """
        scores = histories.mask(np.array(self._model.score(histories)))
        return [
            self._added(one, histories.rows(slice(row, row + 1)), scores[row], k, allowed)
            for row, one in enumerate(found)
        ]

    def unlikely(self, histories: Histories, scores: FloatArray, least: float) -> BoolArray:
        """Return which items users take with a probability below `least`: bool (b, n_items).

        Items of a history are never among them, since their probability is not known.

        Parameters
        ----------
        histories, scores
            b users, and the model's scores of all items for each, (b, n_items).
        least
            From 0 to 1.

        Raises
        ------
        UsageError
            The model was published without a calibration.
        """
        if self._calibration is None:
            raise UsageError(
                "min_probability: the current model was published without probabilities; "
                "train it anew"
            )
        found = np.zeros(scores.shape, np.bool_)
        lengths = np.diff(histories.matrix.indptr).tolist()
        for row, own in enumerate(histories.mask(scores.copy())):
            items = np.flatnonzero(np.isfinite(own))
            figures = features(own, items, lengths[row], self._shares)
            found[row, items] = self._calibration.probabilities(figures) < least
        return found

    def _added(
        self,
        found: tuple[Suggestion, ...],
        history: Histories,
        scores: FloatArray,
        k: int,
        allowed: BoolArray,
    ) -> tuple[Suggestion, ...]:
        codes = [None if one.new else self._shelf.items.code(one.item) for one in found]
        items = [code for code in codes if code is not None and np.isfinite(scores[code])]
        figures = zip(
            self._probabilities(scores, items, history),
            self._stabilities(history, items, k, allowed),
            strict=True,
        )
        by_item = dict(zip(items, figures, strict=True))
        both = (by_item.get(code, (None, None)) for code in codes)  # type: ignore[arg-type]
        return tuple(
            replace(one, probability=probability, stability=stability)
            for one, (probability, stability) in zip(found, both, strict=True)
        )

    def _probabilities(
        self, scores: FloatArray, items: list[int], history: Histories
    ) -> Sequence[float | None]:
        if self._calibration is None or not items:
            return [None] * len(items)
        length = history.matrix.nnz
        figures = features(scores, np.array(items), length, self._shares)
        listed: list[float] = self._calibration.probabilities(figures).tolist()
        return listed

    def _stabilities(
        self, history: Histories, items: list[int], k: int, allowed: BoolArray
    ) -> Sequence[float | None]:
        model = self._model
        if not isinstance(model, Variational) or not items:
            return [None] * len(items)
        listed: list[float] = stabilities(model, history, np.array(items), k, allowed).tolist()
        return listed

    @cached_property
    def _calibration(self) -> Calibration | None:
        manifest = self._artifact.manifest
        return Calibration.of(manifest.calibration, manifest.version)

    @cached_property
    def _shares(self) -> FloatArray:
        """Of the users that were learnt from, how many have each item."""
        users = max(1, int(np.count_nonzero(np.diff(self._artifact.interactions.indptr))))
        shares: FloatArray = self._shelf.taken.popularity / np.float32(users)
        return shares


def stabilities(
    model: Variational,
    history: Histories,
    items: npt.NDArray[np.integer],
    k: int,
    allowed: BoolArray | None = None,
) -> Doubles:
    """Return in what share of posterior samples each item is in the user's top k: float64 (m,).

    Parameters
    ----------
    model
        Draws u ~ q(u|x) and scores it.
    history
        x, one row.
    items
        (m,): codes, none of the history.
    k
        Length of the list.
    allowed
        bool (n_items,): what may stand in it; None for everything.
    """
    mean, variance = model.posterior(history)
    noise = np.random.default_rng(_SEED).standard_normal((SAMPLES, mean.shape[1]))
    latents = (mean + np.sqrt(variance) * noise).astype(np.float32)
    scores = np.array(model.decode(latents))  # (SAMPLES, n_items)
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    scores[:, history.matrix.indices] = -np.inf
    lists = top_k(scores, k)
    listed = np.concatenate([lists.row(row)[0] for row in range(SAMPLES)])
    shares: Doubles = np.bincount(listed, minlength=history.n_items)[items] / SAMPLES
    return shares
