"""Layers that read a history, and how weights begin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.training.batches import Batch
from recsys.training.losses import multinomial_loss, sampled_multinomial_loss


class HistoryLayer(nn.Module):
    """A linear layer over histories that never become dense: x W + b as a sum of W's rows.

    Parameters
    ----------
    n_items, width
        Sizes of input and output.
    sparse
        Whether only the rows of W that a batch touches get a gradient: for large catalogues.
    """

    def __init__(self, n_items: int, width: int, *, sparse: bool = False) -> None:
        super().__init__()
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(n_items, width))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, batch: Batch, weights: Tensor) -> Tensor:
        """Return float32 (b, width) for a batch whose entries weigh `weights`, (nnz,)."""
        return sum_rows(self.weight, batch, weights, sparse=self.sparse) + self.bias


def sum_rows(matrix: Tensor, batch: Batch, weights: Tensor, *, sparse: bool = False) -> Tensor:
    """Return x W, float32 (b, width), for W = `matrix` (n_items, width).

    x holds the entries of a batch, weighing `weights`, (nnz,). A `sparse` gradient names the rows
    of W that took part.
    """
    return functional.embedding_bag(
        batch.columns,
        matrix,
        batch.offsets,
        mode="sum",
        per_sample_weights=weights,
        include_last_offset=True,
        sparse=sparse,
    )


def without_itself(factors: Tensor, batch: Batch, weights: Tensor) -> Tensor:
    """Return x (A Aᵀ − I), float32 (b, n_items), for A = `factors` with rows scaled to length 1.

    The diagonal is 0: no item speaks for itself. x holds the entries of a batch, weighing
    `weights`, (nnz,).
    """
    A = functional.normalize(factors)  # (n_items, factors)
    scores = (sum_rows(A, batch, weights) @ A.T).float()  # (b, n_items)
    scores.view(-1).index_add_(0, batch.cells, weights, alpha=-1)
    return scores


def linear(n_in: int, n_out: int) -> nn.Linear:
    """Return a fully connected layer whose weights are still to be drawn or loaded."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    return layer


def tanh_layers(widths: Sequence[int]) -> nn.Sequential:
    """Return fully connected layers from the first of `widths` to the last, tanh between them.

    Their weights are still to be drawn or loaded.
    """
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [linear(narrow, wide), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def multinomial(
    decoder: nn.Sequential,
    code: Tensor,
    batch: Batch,
    n_sampled: int | None,
    generator: torch.Generator,
) -> Tensor:
    """Return the multinomial loss of a batch, given the code that `tanh_layers` decode.

    `n_sampled` items stand for those that are not in the batch; None takes all of them.
    """
    if n_sampled is None:
        return multinomial_loss(decoder(code), batch)
    output: nn.Linear = decoder[-1]  # type: ignore[assignment]
    hidden = decoder[:-1](code)
    return sampled_multinomial_loss(hidden, output, batch, n_sampled, generator)


def drop_entries(weights: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Return the weights of entries, (nnz,), each 0 with probability `rate`, the rest scaled up."""
    kept = torch.empty_like(weights).bernoulli_(1 - rate, generator=generator)
    return weights * kept / (1 - rate)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights: matrices by Glorot's uniform rule, biases normal with deviation 0.001.

    Layer norms begin as they should, with a gain of 1.
    """
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter, generator=generator)
        else:
            nn.init.normal_(parameter, std=0.001, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()
