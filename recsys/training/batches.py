"""Histories on the training device, and batches of them; nothing here is (batch, items) dense."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recsys.interactions.tables import Histories
from recsys.training.distributed import World


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
        if len(self) == 1:  # as a server has it most often: nothing to spread
            return self.weights / lengths
        return self.weights / lengths[self.rows]

    def row_sums(self, values: Tensor) -> Tensor:
        """Return the sum of each row's `values`, (nnz,): float32 (b,), 0 for an empty row."""
        # adds in a fixed order on every device, which index_add_ on CUDA does not
        return torch.segment_reduce(values, "sum", offsets=self.offsets, initial=0)


class Step(NamedTuple):
    """What a step of training is taken on.

    Attributes
    ----------
    batch
        The histories of this process.
    share
        How much of the whole batch they are: 1 where there is no other process.
    size
        Histories of the whole batch.
    """

    batch: Batch
    share: float
    size: int


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
    world
        Processes that share the histories: each holds those at its rank, rank + size, ….
    """

    def __init__(
        self,
        histories: Histories,
        device: torch.device,
        *,
        popularity: bool = False,
        world: World | None = None,
    ) -> None:
        self.world = world or World()
        self.n_histories = len(histories)  # of all processes
        self.popularity = None  # float32 (n_items,)
        if popularity:
            n_users = np.bincount(histories.matrix.indices, minlength=histories.n_items)
            self.popularity = torch.tensor(n_users, dtype=torch.float32, device=device)
        if self.world.size > 1:
            histories = histories.rows(slice(self.world.rank, None, self.world.size))
        matrix = histories.matrix
        self.offsets = torch.tensor(matrix.indptr, dtype=torch.int64, device=device)  # (n + 1,)
        self.columns = torch.tensor(matrix.indices, dtype=torch.int32, device=device)  # (nnz,)
        self.weights = torch.tensor(matrix.data, dtype=torch.float32, device=device)  # (nnz,)
        self.n_items = histories.n_items
        self.times = None  # int64 (nnz,)
        if histories.times is not None:
            self.times = torch.tensor(histories.times, dtype=torch.int64, device=device)

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
        return math.ceil(self.n_histories / size)

    def shuffled(self, size: int, generator: torch.Generator) -> Iterator[Step]:
        """Yield each history once, in random order, in even batches of at most `size`.

        The same generator state in every process gives them parts of the same batches. One that
        holds no history of a batch takes part with an empty one, at a share of 0.
        """
        device, n_batches = self.offsets.device, self.n_batches(size)
        order = torch.randperm(self.n_histories, generator=generator, device=device)
        sizes = [len(part) for part in order.tensor_split(n_batches)]  # no last one of two or three
        own = order % self.world.size == self.world.rank
        counts = torch.stack([part.sum() for part in own.tensor_split(n_batches)]).tolist()
        rows = torch.split(order[own] // self.world.size, counts)
        lengths = self.offsets.diff()
        entries = torch.stack([lengths[part].sum() for part in rows]).tolist()
        for part, n_entries, whole in zip(rows, entries, sizes, strict=True):
            share = len(part) / whole
            yield Step(self.take(part, n_entries) if len(part) else self._empty(), share, whole)

    def _empty(self) -> Batch:
        """Return a history without entries."""
        none = self.columns[:0].long()
        times = None if self.times is None else self.times[:0]
        offsets = self.offsets.new_zeros(2)
        return Batch(offsets, none, self.weights[:0], self.n_items, times, self.popularity)
