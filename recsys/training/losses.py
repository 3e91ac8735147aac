"""Losses, each the mean over the histories of a batch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.training.batches import Batch


def multinomial_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the negative log-likelihood of the histories under a multinomial, without a constant.

    −Σ_i x_i log softmax(z)_i = Σ_i x_i (logsumexp(z) − z_i), of which the sum runs over the
    history's own items alone, so that no dense target is needed (Liang et al. 2018, equation 2).

    Parameters
    ----------
    logits
        float32 or bfloat16 (b, n_items). They are used up: their gradient takes their place.
    batch
        The b histories that the logits should explain.
    """
    loss: Tensor = _Multinomial.apply(logits, batch.cells, batch)  # type: ignore[no-untyped-call]
    return loss


def sampled_multinomial_loss(
    hidden: Tensor,
    output: nn.Linear,
    batch: Batch,
    n_sampled: int,
    generator: torch.Generator,
) -> Tensor:
    """Return an estimate of `multinomial_loss` from the logits of a part of the catalogue.

    With A the items of the batch's histories, R the others and S drawn from R, i with
    probability q_i,

        Σ_i exp(z_i) ≈ Σ_{i∈A} exp(z_i) + Σ_{i∈S} exp(z_i − log(|S| q_i))

    whose expectation is exact. What is popular is mostly in A, so that little is left to chance.
    Only the rows of the output layer that take part get a gradient, which is sparse.

    Parameters
    ----------
    hidden
        float32 (b, width): what the output layer would turn into logits.
    output
        That layer, of n_items outputs.
    batch
        The b histories that the logits should explain. Where it knows how popular items are,
        q_i is in proportion to that; otherwise all of R are equally likely.
    n_sampled
        |S|; as many as R has, or more, make the loss exact.
    generator
        Draws S, on the same device.
    """
    there = torch.zeros(output.out_features, dtype=torch.bool, device=hidden.device)
    there[batch.columns] = True
    own, others = there.nonzero().squeeze(1), (~there).nonzero().squeeze(1)
    sampled, correction = _drawn(others, batch.popularity, n_sampled, generator)
    columns = torch.cat([own, sampled])
    weight = functional.embedding(columns, output.weight, sparse=True)  # (|A| + |S|, width)
    bias = output.bias[columns] - torch.cat([correction.new_zeros(len(own)), correction])
    logits = functional.linear(hidden, weight, bias)
    place = torch.searchsorted(own, batch.columns)
    cells = batch.rows * len(columns) + place
    loss: Tensor = _Multinomial.apply(logits, cells, batch)  # type: ignore[no-untyped-call]
    return loss


def _drawn(
    others: Tensor, popularity: Tensor | None, n_sampled: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return items drawn from `others` and log(|S| q) of each; all of them at 0 if they are few."""
    if n_sampled >= len(others):
        return others, torch.zeros(len(others), device=others.device)
    drawn = torch.empty(n_sampled, device=others.device).uniform_(generator=generator)
    if popularity is None:
        place = (drawn * len(others)).long().clamp(max=len(others) - 1)
        return others[place], drawn.fill_(math.log(n_sampled / len(others)))
    shares = popularity[others].double().cumsum(0)
    place = torch.searchsorted(shares, drawn.double() * shares[-1], right=True)
    sampled = others[place.clamp(max=len(others) - 1)]
    return sampled, (popularity[sampled] * (n_sampled / shares[-1])).log().float()


class _Multinomial(torch.autograd.Function):
    """Loss and gradient in one pass over the logits, which are written over.

    The gradient with respect to z_i is (Σ_j x_j) softmax(z)_i − x_i. A few rows at a time are
    worked on in float32, whatever the logits' own type, so that no second array of their size
    is made.
    """

    @staticmethod
    def forward(context: Any, logits: Tensor, cells: Tensor, batch: Batch) -> Tensor:
        found = logits.view(-1).index_select(0, cells).float()  # (nnz,)
        totals = batch.totals / len(batch)
        weights = batch.weights / len(batch)
        loss = -torch.dot(weights, found)
        rows = max(1, _CHUNK[logits.device.type] // logits.shape[1])
        for part, total in zip(torch.split(logits, rows), torch.split(totals, rows), strict=True):
            highest = part.amax(1, keepdim=True).float()  # (rows, 1)
            raised = part.float().sub(highest).exp_()
            sums = raised.sum(1, keepdim=True)
            loss += torch.dot(total, (highest + sums.log()).squeeze(1))
            part.copy_(raised.mul_(total[:, None] / sums))
        logits.view(-1).index_add_(0, cells, weights.to(logits.dtype), alpha=-1)
        context.save_for_backward(logits)
        return loss

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (of_logits,) = context.saved_tensors
        return of_logits.mul_(gradient), None, None


_CHUNK = {"cpu": 2**18, "cuda": 2**24}
"""Logits worked on at once: as many as stay near the processor, enough to keep it busy."""


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) ‖ N(0, 1)), summed over the latent (b, latent) dimensions.

    ½ Σ_j (μ_j² + σ_j² − 1 − ln σ_j²), averaged over the batch.
    """
    terms = mean.square() + log_variance.exp() - 1 - log_variance
    return 0.5 * terms.sum(1).mean()


def cosine_loss(scores: Tensor, batch: Batch) -> Tensor:
    """Return the squared distance of scores z and histories x, both scaled to length 1.

    ‖z/‖z‖ − x/‖x‖‖² = 2 − 2 z·x / (‖z‖ ‖x‖), of which the product runs over the history's own
    items alone (Vančura et al. 2022).

    Parameters
    ----------
    scores
        float32 (b, n_items).
    batch
        The b histories that the scores should resemble.
    """
    found = scores.reshape(-1).index_select(0, batch.cells)  # (nnz,)
    lengths = torch.linalg.vector_norm(scores, dim=1).clamp(min=1e-8)  # (b,)
    return 2 - 2 * torch.dot(found / lengths[batch.rows], batch.normalised) / len(batch)


def hidden_cosine_loss(scores: Tensor, batch: Batch, hidden: Tensor, power: float) -> Tensor:
    """Return `cosine_loss` over what is hidden of histories, weighted by their length.

    Σ_u w_u ‖z/‖z‖ − y/‖y‖‖² / Σ_u w_u, where y is the hidden part of the history x, z are the
    scores with 0 at the items of the other part, and w_u = (Σ_i x_i)^power. Of a history with
    nothing hidden nothing can be learnt.

    Parameters
    ----------
    scores
        float32 (b, n_items).
    batch
        The b histories.
    hidden
        bool (nnz,): which entries are to be found.
    power
        How far a long history counts more.
    """
    scores = scores.reshape(-1).index_fill(0, batch.cells[~hidden], 0)
    found = scores.index_select(0, batch.cells)  # (nnz,)
    target = batch.normalised * hidden
    lengths = torch.linalg.vector_norm(scores.view(len(batch), -1), dim=1)  # (b,)
    lengths = lengths * batch.row_sums(target.square()).sqrt()
    cosines = batch.row_sums(found * target) / lengths.clamp(min=1e-8)
    counts = batch.totals.pow(power)  # (b,)
    return 2 - 2 * torch.dot(counts, cosines) / counts.sum().clamp(min=1e-8)
