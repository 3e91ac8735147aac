"""An autoencoder whose code is a few bits: a decoder, and a search for what it decodes best.

An encoder that is one pass of a network errs on histories that it was not trained on. Here it is
only where the search starts: the code is then moved so as to make the history itself likely.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from recsys.interactions.tables import FloatArray, Histories, Matrix
from recsys.training.batches import Batch, DeviceHistories
from recsys.training.losses import multinomial_loss

_ROWS = 500  # histories searched for, or learnt from, at once
_STEP = 0.1  # of the search, in deviations of a latent; it shrinks to almost nothing
_LEAST_STEP = 0.005
_LEARNING_RATE = 5e-3
_LEAST_STEPS = 200  # a few hundred histories take more passes to learn from
_CPU = torch.device("cpu")


def search_codes(
    histories: Matrix,
    start: FloatArray,
    books: Sequence[npt.NDArray[np.float64]],
    decoder: FloatArray,
    bias: FloatArray,
    *,
    spread: FloatArray,
    steps: int,
) -> FloatArray:
    """Return the quantised latents q that make each history most likely: float32 (b, width).

    −Σ_{i∈x} log softmax(q D + c)_i is brought down by Adam on what lies before the rounding, whose
    gradient is taken for 1 (straight-through, Bengio et al. 2013).

    Parameters
    ----------
    histories
        (b, n_items); every entry counts alike.
    start
        (b, width): where to begin.
    books
        The values, ascending, that each latent may take.
    decoder, bias
        D, (width, n_items), and c, (n_items,).
    spread
        (width,): how far each latent usually lies from its mean, the unit of its steps.
    steps
        How many.
    """
    rounding, unit = _Rounding(books), torch.tensor(spread)
    matrix, shift = torch.tensor(decoder), torch.tensor(bias)
    found = np.empty_like(start)
    for first in range(0, len(start), _ROWS):
        rows = slice(first, first + _ROWS)
        batch = _batch(sp.csr_array(histories[rows]))
        begin = torch.tensor(start[rows])
        moved = torch.zeros_like(begin, requires_grad=True)
        optimizer = torch.optim.Adam([moved], lr=_STEP)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = _STEP * (1 - step / steps) + _LEAST_STEP
            loss = multinomial_loss(rounding(begin + moved * unit) @ matrix + shift, batch)
            loss = loss * len(batch)  # a history's steps must not depend on who else is there
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        found[rows] = rounding(begin + moved * unit).detach().numpy()
    return found


def learn_decoder(
    histories: Matrix,
    latents: FloatArray,
    decoder: FloatArray,
    bias: FloatArray,
    *,
    epochs: int,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Return D and c that make the histories likely, given their quantised latents q.

    −Σ_{i∈x} log softmax(q D + c)_i is minimised, every history counting alike.

    Parameters
    ----------
    histories
        (n, n_items).
    latents
        q, (n, width).
    decoder, bias
        D and c to begin with.
    epochs, seed
        Passes over the histories, more where they are few, and what seeds their order.
    """
    matrix = torch.tensor(decoder, requires_grad=True)
    shift = torch.tensor(bias, requires_grad=True)
    optimizer = torch.optim.Adam([matrix, shift], lr=_LEARNING_RATE)
    rng = np.random.default_rng(seed)
    n_batches = -(-len(latents) // (_ROWS // 2))
    for _ in range(max(epochs, -(-_LEAST_STEPS // n_batches))):
        order = rng.permutation(len(latents))
        for rows in np.array_split(order, n_batches):
            batch = _batch(sp.csr_array(histories[rows]))
            loss = multinomial_loss(torch.tensor(latents[rows]) @ matrix + shift, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return matrix.detach().numpy(), shift.detach().numpy()


def _batch(matrix: Matrix) -> Batch:
    """Return the histories, the entries of each weighing 1 together."""
    lengths = np.diff(matrix.indptr)
    weights = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    even: Matrix = sp.csr_array((weights, matrix.indices, matrix.indptr), shape=matrix.shape)
    return DeviceHistories(Histories(even), _CPU).all()


class _Rounding:
    """Rounds each latent to the nearest value of its book; the gradient passes as it is."""

    def __init__(self, books: Sequence[npt.NDArray[np.float64]]) -> None:
        table = np.full((len(books), max(map(len, books))), np.inf, np.float32)
        for row, book in zip(table, books, strict=True):
            row[: len(book)] = book
        with np.errstate(invalid="ignore"):
            middles = np.nan_to_num((table[:, 1:] + table[:, :-1]) / 2, nan=np.inf, posinf=np.inf)
        self._table, self._middles = torch.tensor(table), torch.tensor(middles)

    def __call__(self, latents: Tensor) -> Tensor:
        values = latents.detach().T.contiguous()  # (width, b)
        nearest = self._table.gather(1, torch.searchsorted(self._middles, values)).T
        return latents + (nearest - latents).detach()
