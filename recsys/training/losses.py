"""Losses, each the mean over the histories of a batch."""

from __future__ import annotations

import math

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
        float32 (b, n_items).
    batch
        The b histories that the logits should explain.
    """
    found = logits.reshape(-1).index_select(0, batch.cells)  # (nnz,)
    total = torch.dot(batch.totals, logits.logsumexp(1)) - torch.dot(batch.weights, found)
    return total / len(batch)


def sampled_multinomial_loss(
    hidden: Tensor,
    output: nn.Linear,
    batch: Batch,
    n_sampled: int,
    generator: torch.Generator,
) -> Tensor:
    """Return an estimate of `multinomial_loss` from the logits of a part of the catalogue.

    With A the items of the batch's histories, R the others and S drawn evenly from R,

        Σ_i exp(z_i) ≈ Σ_{i∈A} exp(z_i) + |R| / |S| Σ_{i∈S} exp(z_i)

    whose expectation is exact. What is popular is mostly in A, so that little is left to chance.

    Parameters
    ----------
    hidden
        float32 (b, width): what the output layer would turn into logits.
    output
        That layer, of n_items outputs.
    batch
        The b histories that the logits should explain.
    n_sampled
        |S|; as many as R has, or more, make the loss exact.
    generator
        Draws S, on the same device.
    """
    n_items = output.out_features
    there = torch.zeros(n_items, dtype=torch.bool, device=hidden.device)
    there[batch.columns] = True
    own, others = there.nonzero().squeeze(1), (~there).nonzero().squeeze(1)
    sampled = others
    if n_sampled < len(others):
        drawn = torch.empty(n_sampled, device=hidden.device).uniform_(generator=generator)
        sampled = others[(drawn * len(others)).long().clamp(max=len(others) - 1)]
    columns = torch.cat([own, sampled])
    weight = functional.embedding(columns, output.weight)  # (|A| + |S|, width)
    logits = functional.linear(hidden, weight, output.bias[columns])
    place = torch.searchsorted(own, batch.columns)
    found = logits.reshape(-1).index_select(0, batch.rows * len(columns) + place)  # (nnz,)
    if len(sampled):
        raised = logits[:, len(own) :] + math.log(len(others) / len(sampled))
        logits = torch.cat([logits[:, : len(own)], raised], dim=1)
    total = torch.dot(batch.totals, logits.logsumexp(1)) - torch.dot(batch.weights, found)
    return total / len(batch)


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
