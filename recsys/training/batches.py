"""Histories on the training device, and batches of them; nothing here is (batch, items) dense."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from recsys.interactions.tables import Histories


@dataclass(frozen=True, eq=False)
class Batch:
    """b histories on a device, one entry a user-item pair, row after row.

    Attributes
    ----------
    offsets
        int64 (b + 1,): row r's entries are `[offsets[r], offsets[r + 1])`.
    columns
        int64 (nnz,): item codes, distinct within a row.
    weights
        float32 (nnz,).
    n_items
        Size of the catalogue.
    times
        int64 (nnz,): microseconds since 1970 UTC; None where the histories have none.
    popularity
        float32 (n_items,): in how many of all the histories each item is; None if nobody asked.
    """

    offsets: Tensor
    columns: Tensor
    weights: Tensor
    n_items: int
    times: Tensor | None = None
    popularity: Tensor | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def rows(self) -> Tensor:
        """int64 (nnz,): the row of each entry."""
        row = torch.arange(len(self), device=self.offsets.device)
        return row.repeat_interleave(self.offsets.diff(), output_size=len(self.columns))

    @property
    def cells(self) -> Tensor:
        """int64 (nnz,): where each entry would stand in a flattened (b, n_items), all distinct."""
        return self.rows * self.n_items + self.columns

    @cached_property
    def recency(self) -> Tensor:
        """int64 (nnz,): how many entries of its row come after each; of equal times, later columns.

        Without times, the columns alone decide.
        """
        order = torch.arange(len(self.columns), device=self.columns.device)
        if self.times is not None:
            order = self.times.argsort(stable=True)
            order = order[self.rows[order].argsort(stable=True)]
        last = self.offsets[1:].repeat_interleave(self.offsets.diff()) - 1  # (nnz,)
        recency = torch.empty_like(order)
        recency[order] = last - torch.arange(len(order), device=order.device)
        return recency

    @property
    def totals(self) -> Tensor:
        """float32 (b,): sum of each row's weights, 0 for an empty one."""
        return self.row_sums(self.weights)

    @property
    def normalised(self) -> Tensor:
        """float32 (nnz,): the weights with each row scaled to Euclidean length 1."""
        lengths = self.row_sums(self.weights.square()).sqrt()
        return self.weights / lengths[self.rows]

    def row_sums(self, values: Tensor) -> Tensor:
        """Return the sum of each row's `values`, (nnz,): float32 (b,), 0 for an empty row."""
        # adds in a fixed order on every device, which index_add_ on CUDA does not
        return torch.segment_reduce(values, "sum", offsets=self.offsets, initial=0)


class DeviceHistories:
    """A CSR of histories that stays on the training device.

    Parameters
    ----------
    histories
        n histories in memory.
    device
        Where they go: 8 bytes an entry, 16 with times.
    popularity
        Whether batches are to know how popular items are.
    """

    def __init__(
        self, histories: Histories, device: torch.device, *, popularity: bool = False
    ) -> None:
        matrix = histories.matrix
        self.offsets = torch.tensor(matrix.indptr, dtype=torch.int64, device=device)  # (n + 1,)
        self.columns = torch.tensor(matrix.indices, dtype=torch.int32, device=device)  # (nnz,)
        self.weights = torch.tensor(matrix.data, dtype=torch.float32, device=device)  # (nnz,)
        self.n_items = histories.n_items
        self.times = None  # int64 (nnz,)
        if histories.times is not None:
            self.times = torch.tensor(histories.times, dtype=torch.int64, device=device)
        self.popularity = None
        if popularity:
            self.popularity = self.columns.bincount(minlength=self.n_items).float()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def all(self) -> Batch:
        """Return every history, in order, as one batch."""
        columns = self.columns.long()
        return Batch(self.offsets, columns, self.weights, self.n_items, self.times, self.popularity)

    def take(self, rows: Tensor, n_entries: int | None = None) -> Batch:
        """Return the histories at `rows`, int64 (b,), in that order.

        With the number of their entries the host need not wait for the device to count them.
        """
        starts = self.offsets[rows]  # (b,)
        lengths = self.offsets[rows + 1] - starts  # (b,)
        offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=rows.device)
        torch.cumsum(lengths, 0, out=offsets[1:])
        shifts = starts - offsets[:-1]
        entries = shifts.repeat_interleave(lengths, output_size=n_entries)  # (nnz of the batch,)
        entries += torch.arange(len(entries), device=rows.device)
        columns, weights = self.columns[entries].long(), self.weights[entries]
        times = None if self.times is None else self.times[entries]
        return Batch(offsets, columns, weights, self.n_items, times, self.popularity)

    def n_batches(self, size: int) -> int:
        """Return how many batches of at most `size` histories an epoch has."""
        return math.ceil(len(self) / size)

    def shuffled(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield each history once, in random order, in even batches of at most `size`."""
        order = torch.randperm(len(self), generator=generator, device=self.offsets.device)
        batches = order.tensor_split(self.n_batches(size))  # no last batch of two or three
        lengths = self.offsets.diff()[order]
        counts = torch.stack([part.sum() for part in lengths.tensor_split(len(batches))])
        for rows, n_entries in zip(batches, counts.tolist(), strict=True):  # the one wait an epoch
            yield self.take(rows, n_entries)
