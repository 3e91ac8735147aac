"""Synthetic users: histories drawn from what a variational model learnt, none of them a customer's.

A taste is drawn from the model's latent space, a length from the real lengths, and the items from
the decoder's distribution without replacement: in a few parts, after each of which the taste is
drawn anew from the posterior of the items so far, so that what is drawn later goes with what was
drawn before. A bias for each item, found by drawing and counting, makes items as popular as they
really are, which the decoder alone does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import Field

from recsys.interactions.tables import FloatArray, Histories, LongArray, Matrix
from recsys.models.variational import Variational
from recsys.progress import Bar, progress

Doubles = npt.NDArray[np.float64]

LEAST_COPIED = 3
"""Items from which on a history may not be a real one's copy; shorter ones agree by chance."""

_BATCH = 256
_TRIED = 10  # draws of a history that turns out to be a copy
_COUNTED = 4000  # users drawn to find the biases
_DAMPED, _MOST_BIAS = 0.7, 3.0


@dataclass(frozen=True)
class Sampling:
    """How histories are drawn.

    Attributes
    ----------
    temperature
        Logits are divided by it: low ones keep to what is most likely, high ones wander.
    parts
        In how many parts a history is drawn.
    rounds
        How often the biases of the items are corrected.
    """

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    parts: Annotated[int, Field(ge=1)] = 4
    rounds: Annotated[int, Field(ge=0)] = 2


@dataclass(frozen=True, eq=False)
class Tastes:
    """Where users are drawn from: one normal distribution a row, all rows alike.

    Attributes
    ----------
    mean, variance
        float32 (n, latent).
    lengths
        int64 (n,): how many items such a user has.
    shares
        float64 (n_items,): in what share of the histories each item should be; None where the
        model's own word is taken.
    """

    mean: FloatArray
    variance: FloatArray
    lengths: LongArray
    shares: Doubles | None

    @classmethod
    def of(cls, model: Variational, histories: Histories) -> Tastes:
        """Return the tastes of these users: of all, or of a segment."""
        lengths = np.diff(histories.matrix.indptr).astype(np.int64)
        some = histories.rows(np.flatnonzero(lengths))
        batches = [model.posterior(part) for _, part in some.batches(_BATCH)]
        mean, variance = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        counts = np.bincount(some.matrix.indices, minlength=histories.n_items)
        return cls(mean, variance, lengths[lengths > 0], counts / len(some))

    def prior(self) -> Tastes:
        """Return tastes drawn from the prior N(0, 1), whatever they have to do with lengths."""
        return replace(self, mean=np.zeros_like(self.mean), variance=np.ones_like(self.variance))

    def between(self, steps: int = 100) -> Tastes:
        """Return tastes on the way from the first of these users to the last."""
        t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        mean = (1 - t) * self.mean[0] + t * self.mean[-1]
        variance = (1 - t) * self.variance[0] + t * self.variance[-1]
        logs = np.log(self.lengths[[0, -1]])
        lengths = np.exp((1 - t[:, 0]) * logs[0] + t[:, 0] * logs[1])
        return Tastes(mean, variance, np.rint(lengths).astype(np.int64), None)

    def drawn(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, LongArray]:
        """Return n latents, and for each the length of a row about as long."""
        rows = rng.integers(0, len(self.lengths), n)
        order = np.argsort(self.lengths, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        reach = len(order) // 100
        moved = place[rows] + rng.integers(-reach, reach + 1, n)
        lengths = self.lengths[order[np.clip(moved, 0, len(order) - 1)]]
        return _normal(self.mean[rows], self.variance[rows], rng), lengths


@dataclass(frozen=True, eq=False)
class Synthetic:
    """Drawn histories.

    Attributes
    ----------
    histories
        float32 CSR (n, n_items), 1 where a user has an item.
    redrawn
        How many were copies of a real history at first, and drawn anew.
    given_up
        How many still were, and are left out.
    """

    histories: Matrix
    redrawn: int = 0
    given_up: int = 0


def generate(
    model: Variational,
    tastes: Tastes,
    n: int,
    *,
    real: Matrix,
    rng: np.random.Generator,
    sampling: Sampling | None = None,
) -> Synthetic:
    """Return n synthetic histories, of which none of 3 items or more is a real one.

    Parameters
    ----------
    model
        A fitted variational model.
    tastes
        Where they come from.
    n
        How many; fewer where copies could not be avoided.
    real
        (n_users, n_items): the histories that may not be copied.
    rng
        Draws everything.
    sampling
        How they are drawn.
    """
    sampling = sampling or Sampling()
    rounds = 0 if tastes.shares is None else sampling.rounds
    counted = min(_COUNTED, max(n, 1000))
    with progress("generating", rounds * counted + n) as bar:
        drawer = _Drawer(model, real.shape[1], sampling, rng, bar)
        for _ in range(rounds):
            drawer.correct(tastes, counted)
        rows = list(drawer.histories(*tastes.drawn(n, rng)))
        known = keys_of(real)
        copies = redrawn = [row for row, items in enumerate(rows) if _is_copy(items, known)]
        for _ in range(_TRIED):
            for row, items in zip(
                copies, drawer.histories(*tastes.drawn(len(copies), rng)), strict=True
            ):
                rows[row] = items
            copies = [row for row in copies if _is_copy(rows[row], known)]
    left_out = frozenset(copies)
    kept = [items for row, items in enumerate(rows) if row not in left_out]
    return Synthetic(_matrix(kept, real.shape[1]), len(redrawn) - len(copies), len(copies))


@dataclass
class _Drawer:
    """Draws histories, with a bias for each item that `correct` finds."""

    model: Variational
    n_items: int
    sampling: Sampling
    rng: np.random.Generator
    bar: Bar

    def __post_init__(self) -> None:
        self.bias = np.zeros(self.n_items, np.float32)

    def correct(self, tastes: Tastes, counted: int) -> None:
        """Move the biases by how much too rare or too frequent each item is among drawn users."""
        shares = tastes.shares
        if shares is None:
            return
        counts = np.zeros(self.n_items)
        for items in self.histories(*tastes.drawn(counted, self.rng)):
            counts[items] += 1
        missing = np.log((shares * counted + 1) / (counts + 1))
        moved = self.bias + _DAMPED * missing
        self.bias = np.clip(moved, -_MOST_BIAS, _MOST_BIAS).astype(np.float32)

    def histories(self, latents: FloatArray, lengths: LongArray) -> Iterator[LongArray]:
        """Yield the item codes of a history for each latent, ascending."""
        lengths = np.minimum(lengths, self.n_items)
        for start in range(0, len(latents), _BATCH):
            batch = slice(start, start + _BATCH)
            held = self._batch(latents[batch], lengths[batch])
            for row in held:
                yield np.flatnonzero(row)
            self.bar.advance(len(held))

    def _batch(self, latents: FloatArray, lengths: LongArray) -> npt.NDArray[np.bool_]:
        """Return which items each of b users has: bool (b, n_items)."""
        held = np.zeros((len(latents), self.n_items), np.bool_)
        parts = self.sampling.parts
        for part in range(1, parts + 1):
            keys = self._gumbel(latents)
            keys[held] = -np.inf
            missing = -(-lengths * part // parts) - held.sum(axis=1)
            for row in np.flatnonzero(missing > 0):
                held[row, np.argpartition(-keys[row], missing[row] - 1)[: missing[row]]] = True
            if part < parts:
                latents = self._again(held)
        return held

    def _gumbel(self, latents: FloatArray) -> FloatArray:
        """Return keys of which the largest n are n items drawn without replacement (Gumbel)."""
        logits = self.model.decode(latents) / np.float32(self.sampling.temperature)
        noise = self.rng.gumbel(size=logits.shape)
        return (logits + self.bias + noise).astype(np.float32)

    def _again(self, held: npt.NDArray[np.bool_]) -> FloatArray:
        mean, variance = self.model.posterior(Histories(sp.csr_array(held.astype(np.float32))))
        return _normal(mean, variance, self.rng)


def _normal(mean: FloatArray, variance: FloatArray, rng: np.random.Generator) -> FloatArray:
    return (mean + np.sqrt(variance) * rng.standard_normal(mean.shape)).astype(np.float32)


def keys_of(matrix: Matrix) -> frozenset[bytes]:
    """Return what tells histories apart: their items, ascending."""
    ends = matrix.indptr.tolist()
    return frozenset(
        np.sort(matrix.indices[start:end]).astype(np.int64).tobytes()
        for start, end in pairwise(ends)
    )


def _is_copy(items: LongArray, known: frozenset[bytes]) -> bool:
    return len(items) >= LEAST_COPIED and items.astype(np.int64).tobytes() in known


def _matrix(rows: list[LongArray], n_items: int) -> Matrix:
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in rows])]).astype(np.int32)
    indices = np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int32)
    ones = np.ones(len(indices), np.float32)
    return sp.csr_array((ones, indices, indptr), shape=(len(rows), n_items))
