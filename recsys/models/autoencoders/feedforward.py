"""The network of the plain and the denoising autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.models.autoencoders.layers import (
    HistoryLayer,
    drop_entries,
    multinomial,
    tanh_layers,
)
from recsys.training.batches import Batch
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
    sampled
        Items that stand in the loss for those not in a batch; None takes all.
    """

    def __init__(
        self,
        n_items: int,
        hidden: tuple[int, ...],
        dropout: float = 0.0,
        *,
        sampled: int | None = None,
    ) -> None:
        super().__init__()
        self.first = HistoryLayer(n_items, hidden[0], sparse=sampled is not None)
        self.rest = tanh_layers((*hidden, *reversed(hidden[:-1]), n_items))
        self.dropout, self.sampled, self.depth = dropout, sampled, len(hidden)

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 (b, n_items)."""
        logits: Tensor = self.rest(self._code(batch, batch.normalised))
        return logits

    def latents(self, batch: Batch) -> Tensor:
        """Return the narrowest layer: float32 (b, hidden[-1])."""
        encoder = self.rest[: 2 * (self.depth - 1)]  # each layer is followed by its tanh
        latents: Tensor = encoder(self._code(batch, batch.normalised))
        return latents

    def item_vectors(self) -> Tensor:
        """Return the output layer's rows: float32 (n_items, hidden[0])."""
        output: nn.Linear = self.rest[-1]  # type: ignore[assignment]
        return output.weight

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:  # noqa: ARG002
        """Return the multinomial loss of whole histories, given what dropout left of them."""
        weights = drop_entries(batch.normalised, self.dropout, generator)
        return multinomial(self.rest, self._code(batch, weights), batch, self.sampled, generator)

    def _code(self, batch: Batch, weights: Tensor) -> Tensor:
        code: Tensor = self.first(batch, weights).tanh()  # (b, hidden[0])
        return code
