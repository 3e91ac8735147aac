"""The network of the plain and the denoising autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.models.autoencoders.layers import HistoryLayer, drop_entries, tanh_layers
from recsys.training.batches import Batch
from recsys.training.losses import multinomial_loss
from recsys.training.network import Network


class FeedForward(Network):
    """An encoder of tanh layers, mirrored by its decoder; the loss may corrupt the input.

    Parameters
    ----------
    n_items
        Size of the catalogue.
    hidden
        Widths from the input to the code; the decoder goes back through them.
    dropout
        Share of a history's entries that the loss hides from the input.
    """

    def __init__(self, n_items: int, hidden: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__()
        self.first = HistoryLayer(n_items, hidden[0])
        self.rest = tanh_layers((*hidden, *reversed(hidden[:-1]), n_items))
        self.dropout = dropout

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 (b, n_items)."""
        return self._logits(batch, batch.normalised)

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:  # noqa: ARG002
        """Return the multinomial loss of whole histories, given what dropout left of them."""
        weights = drop_entries(batch.normalised, self.dropout, generator)
        return multinomial_loss(self._logits(batch, weights), batch)

    def _logits(self, batch: Batch, weights: Tensor) -> Tensor:
        logits: Tensor = self.rest(self.first(batch, weights).tanh())
        return logits
