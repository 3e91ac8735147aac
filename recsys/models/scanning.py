"""Exact lists without scoring the whole catalogue: an int8 scan, then float32 for what is left."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from recsys.interactions.tables import BoolArray, FloatArray, Histories, IntArray
from recsys.models.base import Factored
from recsys.topk import TopK, reached_by, top_k

logger = logging.getLogger(__name__)

Codes = npt.NDArray[np.int64]

_ROWS = 64  # histories scanned together
_BLOCK = 24_576  # items scanned together: their estimates stay near the processor
_FEW = 16  # fewer allowed items than n_items / this are scored outright
_MOST = 8  # where more than n_items / this could be in a list, every item is scored
_ROUNDING = np.float32(1e-5)  # of ‖h‖ ‖w‖ + |b|: above what a sum in float32 is off by
_LEAST = np.finfo(np.float32).min
_FINEST = 127
_TRIED = 32  # histories that say in which order to take the items
_NONE = np.zeros(0, np.int64)


def scan_of(factored: Factored) -> Scan | None:
    """Return a scan, of the finest integers that this processor multiplies exactly; None if none.

    Processors without instructions for it add pairs of products in 16 bits, which those of 255
    steps overflow and those of 127 do not.
    """
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return None
    if not np.isfinite(factored.weights).all() or not np.isfinite(factored.bias).all():
        return None
    for steps in (_FINEST, 63):
        scan = Scan(factored, steps)
        if scan.is_exact:
            return scan
    logger.warning("this processor does not multiply int8 exactly: lists are scored in float32")
    return None


@dataclass(frozen=True, eq=False)
class _Vectors:
    """Vectors h, (b, width), as integers ĥ times a scale each.

    Attributes
    ----------
    integers
        float32 (b, width + 2): ĥ; the last two, the same in every row, tell torch which range to
        quantise to, so that it takes the integers as they are. Weights there are 0.
    scale, rest, length
        float32 (b, 1): of the integers, ‖h − ĥ‖ and ‖ĥ‖.
    """

    integers: Tensor
    scale: FloatArray
    rest: FloatArray
    length: FloatArray

    @classmethod
    def of(cls, exact: FloatArray, steps: int) -> _Vectors:
        """Round h to `steps` integers on each side of 0."""
        largest = np.abs(exact).max(axis=1, keepdims=True, initial=0)
        scale = np.where(largest > 0, largest / np.float32(steps), np.float32(1))
        integers = np.empty((len(exact), exact.shape[1] + 2), np.float32)
        np.rint(exact / scale, out=integers[:, :-2])
        integers[:, -2:] = -steps, steps + 1
        rounded = integers[:, :-2] * scale
        rest, length = _lengths(exact - rounded), _lengths(rounded)
        return cls(torch.from_numpy(integers), scale, rest[:, None], length[:, None])


class _Block:
    """Items that are scanned together, their weights as integers ŵ times a scale each.

    Parameters
    ----------
    items
        int64 (n,): which.
    weights, bias
        float32 (n, width) and (n,): theirs.
    steps
        As in `_Vectors.of`.
    """

    def __init__(self, items: Codes, weights: FloatArray, bias: FloatArray, steps: int) -> None:
        self.items, self._steps = items, steps
        self._bias = torch.from_numpy(bias)
        scale = np.abs(weights).max(axis=1, keepdims=True, initial=0) / np.float32(127)
        scale[scale == 0] = 1
        integers = np.zeros((len(items), weights.shape[1] + 2), np.int8)
        integers[:, :-2] = np.rint(weights / scale)
        self._norm = _lengths(weights)
        self._error = _lengths(weights - integers[:, :-2] * scale)
        self._longest, self._worst = self._norm.max(), self._error.max()
        self._highest, self._largest = bias.max(), np.abs(bias).max()
        self._packed = _packed(integers, scale[:, 0])
        self.is_exact = self._sums_right(integers, scale[:, 0])

    def estimates(self, vectors: _Vectors) -> tuple[FloatArray, FloatArray]:
        """Return ĥ·ŵ + b, float32 (b, n), and the largest ε of each row, (b, 1)."""
        products, scale = self._products(vectors), torch.from_numpy(vectors.scale)
        estimates = torch.addcmul(self._bias, products, scale, out=products)
        off = self._off(vectors.rest, vectors.length, self._longest, self._worst)
        return estimates.numpy(), off

    def found(
        self, vectors: _Vectors, estimates: FloatArray, slack: FloatArray, least: FloatArray
    ) -> _Found:
        """Return what may reach `least`, float32 (b, 1), by what `estimates` gave."""
        cells = np.flatnonzero(estimates >= np.maximum(least - slack, _LEAST))
        rows, places = np.divmod(cells, len(self.items))
        values = estimates.ravel()[cells]
        rest, length = vectors.rest[rows, 0], vectors.length[rows, 0]
        off = self._off(rest, length, self._norm[places], self._error[places])
        return _Found(rows, self.items[places], values - off, values + off)

    def _off(
        self, rest: FloatArray, length: FloatArray, norm: FloatArray, error: FloatArray
    ) -> FloatArray:
        """Return ε for ‖h − ĥ‖ = `rest`, ‖ĥ‖ = `length`, ‖w‖ = `norm` and ‖w − ŵ‖ = `error`."""
        rounding = _ROUNDING * (length * norm + self._largest)
        off: FloatArray = rest * norm + length * error + rounding
        return off

    def reach(self, vectors: _Vectors) -> FloatArray:
        """Return what no score is above, float32 (b, 1)."""
        highest: FloatArray = (vectors.length + vectors.rest) * self._longest + self._highest
        return highest

    def _products(self, vectors: _Vectors) -> Tensor:
        products: Tensor = torch.ops.quantized.linear_dynamic(
            vectors.integers, self._packed, reduce_range=self._steps < _FINEST
        )
        return products

    def _sums_right(self, integers: npt.NDArray[np.int8], scale: FloatArray) -> bool:
        """Try the vector that is likeliest to overflow."""
        largest = np.full((1, integers.shape[1] - 2), self._steps, np.float32)
        found = self._products(_Vectors.of(largest, self._steps)).numpy()[0] / scale
        expected = self._steps * integers.sum(axis=1, dtype=np.int64)
        return bool((np.abs(found - expected) <= 1e-5 * np.abs(expected) + 0.5).all())


class Scan:
    """Finds the k highest of h Wᵀ + b, exactly, by products of 8 bits for most items.

    With ĥ and ŵ what 8 bits make of h and w, h·w + b = ĥ·ŵ + b + (h − ĥ)·w + ĥ·(w − ŵ), so that
    the estimate ĥ·ŵ + b is off by at most

        ε = ‖h − ĥ‖ ‖w‖ + ‖ĥ‖ ‖w − ŵ‖

    At least k scores reach τ, the k-th highest estimate less ε; an item whose estimate plus ε does
    not, is not among the k highest. What is left is scored in float32. Items are taken in blocks
    of like ‖w‖, each with the ε of its largest; a block whose scores cannot reach τ is skipped.
    Where too much is left of a row, all of it is scored.

    Parameters
    ----------
    factored
        The model's last step.
    steps
        h is rounded to so many integers on each side of 0.

    Attributes
    ----------
    in_full
        How many rows were scored in full.
    """

    def __init__(self, factored: Factored, steps: int) -> None:
        self._encode, self._steps = factored.encode, steps
        self._weights, self._bias = factored.weights, factored.bias
        self.n_items = len(self._weights)
        self.in_full = 0
        order = np.argsort(-self._tried(), kind="stable")
        self._blocks = [
            _Block(items, self._weights[items], self._bias[items], steps)
            for items in np.array_split(order, ceil(self.n_items / _BLOCK))
        ]
        self._place = np.empty_like(order)  # of each item in `order`
        self._place[order] = np.arange(self.n_items)

    def _tried(self) -> FloatArray:
        """Return the best score of each item for some histories of one item, float32 (n_items,)."""
        n = min(_TRIED, self.n_items)
        items = np.linspace(0, self.n_items - 1, n).astype(np.int32)
        ones = (np.ones(n, np.float32), items, np.arange(n + 1))
        matrix = sp.csr_array(ones, shape=(n, self.n_items))
        hidden = self._encode(Histories(matrix, np.zeros(n, np.int64)))
        best = np.empty(self.n_items, np.float32)
        for start in range(0, self.n_items, _BLOCK):
            block = slice(start, start + _BLOCK)
            best[block] = (self._weights[block] @ hidden.T + self._bias[block, None]).max(axis=1)
        return best

    @property
    def is_exact(self) -> bool:
        """Whether this processor adds up the integers without overflow."""
        return all(block.is_exact for block in self._blocks)

    def top(
        self, histories: Histories, k: int, allowed: BoolArray | None, barred: BoolArray | None
    ) -> TopK:
        """Return the k best of each history; see `Scorer.top`."""
        hidden = self._encode(histories)  # (b, width)
        rows, items = histories.cells(barred) if barred is not None else (_NONE, _NONE)
        if allowed is not None and np.count_nonzero(allowed) * _FEW < self.n_items:
            return self._outright(hidden, k, np.flatnonzero(allowed), rows, items)
        shut = _NONE if allowed is None else self._place[~allowed]
        b, k = len(hidden), min(k, self.n_items)
        best = TopK(
            np.zeros((b, k), np.int32), np.full((b, k), -np.inf, np.float32), np.zeros(b, np.int32)
        )
        for start in range(0, b, _ROWS):
            part = slice(start, start + _ROWS)
            own = slice(*np.searchsorted(rows, [start, start + _ROWS]))
            left = self._left(hidden[part], k, rows[own] - start, self._place[items[own]], shut)
            for row, candidates in enumerate(left, start):
                best.counts[row] = self._rank(
                    hidden[row], candidates, best.items[row], best.scores[row]
                )
        return best

    def _left(
        self, hidden: FloatArray, k: int, rows: Codes, places: Codes, shut: Codes
    ) -> Iterator[Codes]:
        """Yield, of each row, the items that may be among its k best.

        `rows` and `places` are cells that may not be listed, `shut` are places that never may.
        """
        vectors = _Vectors.of(hidden, self._steps)
        least = np.full((len(hidden), 1), _LEAST)  # τ
        found: list[_Found] = []
        start = 0
        for block in self._blocks:
            end = start + len(block.items)
            if start == 0 or (block.reach(vectors) >= least).any():
                estimates, slack = block.estimates(vectors)
                own = (places >= start) & (places < end)
                estimates[rows[own], places[own] - start] = -np.inf
                estimates[:, shut[(shut >= start) & (shut < end)] - start] = -np.inf
                if end - start >= k:
                    np.maximum(least, reached_by(estimates, k)[:, None] - slack, out=least)
                found.append(block.found(vectors, estimates, slack, least))
            start = end
        return _Found.together(found).of_rows(len(hidden), k)

    def _rank(self, hidden: FloatArray, left: Codes, items: IntArray, scores: FloatArray) -> int:
        """Score what is left of a row, write its best into `items` and `scores`; say how many."""
        if len(left) * _MOST > self.n_items:
            self.in_full += 1
            values = (self._weights @ hidden + self._bias)[left]
        else:
            values = self._weights[left] @ hidden + self._bias[left]
        order = np.argsort(-values, kind="stable")[: len(items)]  # of ties, the lower item
        items[: len(order)], scores[: len(order)] = left[order], values[order]
        return len(order)

    def _outright(
        self, hidden: FloatArray, k: int, among: Codes, rows: Codes, items: npt.NDArray[np.integer]
    ) -> TopK:
        """Return the best among a few items; `rows` and `items` are cells not to be listed."""
        scores = hidden @ self._weights[among].T + self._bias[among]
        column = np.full(self.n_items, -1)
        column[among] = np.arange(len(among))
        there = column[items] >= 0
        scores[rows[there], column[items[there]]] = -np.inf
        best = top_k(scores, k)
        return TopK(among[best.items].astype(np.int32), best.scores, best.counts)


@dataclass(frozen=True, eq=False)
class _Found:
    """Candidates: rows, items, and what their scores are no lower and no higher than, (n,) each."""

    rows: Codes
    items: Codes
    low: FloatArray
    high: FloatArray

    @classmethod
    def together(cls, parts: list[_Found]) -> _Found:
        """Return the candidates of several blocks, row by row."""
        if len(parts) == 1:
            return parts[0]
        rows = np.concatenate([part.rows for part in parts])
        order = np.argsort(rows, kind="stable")
        columns = ([getattr(part, name) for part in parts] for name in ("items", "low", "high"))
        return cls(rows[order], *(np.concatenate(column)[order] for column in columns))

    def of_rows(self, b: int, k: int) -> Iterator[Codes]:
        """Yield, of each row, the items that may be among the k best, ascending."""
        for start, end in pairwise(np.searchsorted(self.rows, np.arange(b + 1)).tolist()):
            items = self.items[start:end]
            if len(items) > k:
                least = np.partition(self.low[start:end], len(items) - k)[len(items) - k]
                items = items[self.high[start:end] >= least]
            yield np.sort(items)


def _packed(integers: npt.NDArray[np.int8], scale: FloatArray) -> torch.ScriptObject:
    """Return int8 weights, (n, width), a scale each, laid out as torch multiplies them."""
    engines = torch.backends.quantized
    with warnings.catch_warnings():  # torch means to drop them one day
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor", category=UserWarning)
        weights = torch._make_per_channel_quantized_tensor(
            torch.from_numpy(integers),
            torch.from_numpy(scale.astype(np.float64)),
            torch.zeros(len(scale), dtype=torch.int64),
            0,
        )
    before, engines.engine = engines.engine, "fbgemm"
    try:
        packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(weights, None)
        return packed
    finally:
        engines.engine = before


def _lengths(vectors: FloatArray) -> FloatArray:
    """Return the Euclidean length of each row, float32 (n,)."""
    lengths: FloatArray = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths
