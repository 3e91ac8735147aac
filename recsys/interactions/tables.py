"""The two shapes of data: `Interactions` (cleaned events) and `Histories` (what a model sees)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

IntArray = npt.NDArray[np.int32]
LongArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Matrix = sp.csr_array[np.float32, tuple[int, int]]

MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, eq=False)
class Interactions:
    """Cleaned events, grouped by user and, where times are known, oldest first within a user.

    Users and items are codes here; whoever needs ids keeps an `IdMap` beside this.

    Attributes
    ----------
    indptr
        int64 (n_users + 1,): user u's events are `[indptr[u], indptr[u + 1])`.
    items
        int32 (n_events,): item codes below `n_items`.
    n_items
        Size of the catalogue; items without an event count too.
    times
        int64 (n_events,): microseconds since 1970 UTC; None where the log has no times.
    values
        float32 (n_events,): quantity or rating; None where the log has none.
    """

    indptr: LongArray
    items: IntArray
    n_items: int
    times: LongArray | None = None
    values: FloatArray | None = None

    @classmethod
    def from_events(
        cls,
        users: npt.NDArray[np.integer],
        items: npt.NDArray[np.integer],
        *,
        shape: tuple[int, int],
        times: LongArray | None = None,
        values: FloatArray | None = None,
    ) -> Interactions:
        """Group events that stand in any order; equal times keep the order they came in.

        Parameters
        ----------
        users, items
            Codes, one of each per event.
        shape
            (n_users, n_items).
        times, values
            One of each per event, or None.
        """
        order = np.lexsort((users,) if times is None else (times, users))
        indptr = np.zeros(shape[0] + 1, np.int64)
        np.cumsum(np.bincount(users, minlength=shape[0]), out=indptr[1:])
        return cls(
            indptr,
            items[order].astype(np.int32),
            shape[1],
            None if times is None else times[order],
            None if values is None else values[order],
        )

    @property
    def n_users(self) -> int:
        """Number of rows, those without an event included."""
        return len(self.indptr) - 1

    @property
    def n_events(self) -> int:
        """Number of events; a pair may have several."""
        return len(self.items)

    @property
    def users(self) -> IntArray:
        """int32 (n_events,): the user code of each event."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(self.indptr))

    @property
    def newest(self) -> int | None:
        """Time of the newest event, None without times or events."""
        return int(self.times.max()) if self.times is not None and len(self.times) else None

    def where(self, keep: BoolArray) -> Interactions:
        """Return the events at which `keep`, bool (n_events,), is true; all users stay."""
        kept = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])
        return self._with(kept[self.indptr], np.flatnonzero(keep))

    def rows(self, users: npt.NDArray[np.integer]) -> Interactions:
        """Return the users at these codes, renumbered in that order, with all their events."""
        starts, lengths = self.indptr[users], self.indptr[users + 1] - self.indptr[users]
        indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        events = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        return self._with(indptr, events)

    def columns(self, items: npt.NDArray[np.integer]) -> Interactions:
        """Return the catalogue cut to the items at these codes, renumbered in that order."""
        new_code = np.full(self.n_items, self.n_items, np.int32)
        new_code[items] = np.arange(len(items), dtype=np.int32)
        kept = self.where(new_code[self.items] < self.n_items)
        return Interactions(kept.indptr, new_code[kept.items], len(items), kept.times, kept.values)

    def baskets(self) -> Interactions:
        """Return the events with a row for each user and day instead of each user; needs times."""
        if self.times is None:
            raise ValueError("events without times have no days")
        day = self.times // MICROSECONDS_PER_DAY
        first = np.ones(self.n_events, np.bool_)
        first[1:] = (np.diff(self.users) != 0) | (np.diff(day) != 0)
        indptr = np.append(np.flatnonzero(first), self.n_events).astype(np.int64)
        return Interactions(indptr, self.items, self.n_items, self.times, self.values)

    def _with(self, indptr: LongArray, events: npt.NDArray[np.integer]) -> Interactions:
        return Interactions(
            indptr,
            self.items[events],
            self.n_items,
            None if self.times is None else self.times[events],
            None if self.values is None else self.values[events],
        )


@dataclass(frozen=True, eq=False)
class Histories:
    """What a model sees: a weight for each (row, item) pair, and perhaps when it last happened.

    Attributes
    ----------
    matrix
        float32 CSR (b, n_items): one entry a pair, columns ascending within a row, weights > 0.
    times
        int64 (nnz,): microseconds since 1970 UTC of each entry's latest event, aligned to
        `matrix.data`; None where unknown.
    """

    matrix: Matrix
    times: LongArray | None = None

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def above(self, others: Histories) -> Histories:
        """Return these histories with `others`, of the same catalogue, as further rows."""
        matrix = sp.csr_array(sp.vstack([self.matrix, others.matrix], format="csr"))
        if self.times is None or others.times is None:
            return Histories(matrix)
        return Histories(matrix, np.concatenate([self.times, others.times]))

    def rows(self, index: npt.NDArray[np.integer] | slice) -> Histories:
        """Return the histories at these rows, in that order."""
        matrix = self.matrix[index]
        if self.times is None:
            return Histories(matrix)
        entries = sp.csr_array(
            (np.arange(self.matrix.nnz), self.matrix.indices, self.matrix.indptr),
            shape=self.matrix.shape,
        )
        return Histories(matrix, self.times[entries[index].data])

    def mask(self, scores: FloatArray) -> FloatArray:
        """Set the scores, (b, n_items), of each history's own items to −inf, in place."""
        scores[self.cells()] = -np.inf
        return scores

    def cells(self, entries: BoolArray | None = None) -> tuple[LongArray, IntArray]:
        """Return row and column of the entries, or of those at which `entries`, (nnz,), is true."""
        rows = np.repeat(np.arange(len(self)), np.diff(self.matrix.indptr))
        columns = self.matrix.indices
        return (rows, columns) if entries is None else (rows[entries], columns[entries])

    def batches(self, size: int) -> Iterator[tuple[int, Histories]]:
        """Yield (first row, at most `size` rows) from top to bottom."""
        for start in range(0, len(self), size):
            yield start, self.rows(slice(start, start + size))


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Users to be tested: what a model is given of each, and what it should find.

    Attributes
    ----------
    given, target
        Histories of the same shape, row for row the same users.
    repeats
        Whether items of `given` may be found again; otherwise they are left out of the lists.
    """

    given: Histories
    target: Histories
    repeats: bool = False

    def __len__(self) -> int:
        return len(self.given)

    def batches(self, size: int) -> Iterator[tuple[int, HeldOut]]:
        """Yield (first row, at most `size` users) from top to bottom."""
        for start, given in self.given.batches(size):
            target = self.target.rows(slice(start, start + size))
            yield start, HeldOut(given, target, self.repeats)

    def mask_seen(self, scores: FloatArray) -> FloatArray:
        """Set the scores, (b, n_items), of items that may not be found to −inf, in place."""
        return scores if self.repeats else self.given.mask(scores)
