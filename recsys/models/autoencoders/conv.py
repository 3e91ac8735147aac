"""The convolutional autoencoder: reads a history in the order in which it came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.autoencoders.base import NeuralModel
from recsys.models.autoencoders.layers import drop_entries, linear
from recsys.settings import Search
from recsys.training.batches import Batch
from recsys.training.loop import TrainingConfig
from recsys.training.losses import multinomial_loss
from recsys.training.network import Network


@dataclass(frozen=True)
class ConvAutoencoderConfig(TrainingConfig):
    """Settings of the convolutional autoencoder.

    Attributes
    ----------
    length
        Entries of a history that are read, the most recent ones.
    width
        Size of an item's embedding, of every layer and of the code.
    layers
        Convolutions, one on top of the other.
    reach
        Neighbours on each side of an entry that a convolution sees.
    dropout
        Share of a history's entries hidden from the input in training.
    """

    length: Annotated[int, Field(ge=1), Search(choices=(50, 100, 200))] = 50
    width: Annotated[int, Field(ge=1), Search(choices=(128, 256, 512))] = 256
    layers: Annotated[int, Field(ge=1)] = 1
    reach: Annotated[int, Field(ge=0)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.2, 0.8)] = 0.5


class ConvAutoencoder(NeuralModel[ConvAutoencoderConfig]):
    """Rebuilds a history from what stands next to what in it.

    The most recent `length` entries of a history, oldest first and those of one time by column,
    become a sequence of embeddings, each times its entry's weight; every convolution adds to it
    what a window of it says, h ← h + relu(conv(h)). The tanh of the sequence's sum over the
    square root of its length is the code, and a linear decoder turns it into logits z; minimised
    is −Σ_i x_i log softmax(z)_i over the whole history.
    """

    name: ClassVar[str] = "conv-autoencoder"
    config_type: ClassVar[type[ConvAutoencoderConfig]] = ConvAutoencoderConfig
    needs_times: ClassVar[bool] = True

    def _build(self, n_items: int) -> _Conv:
        return _Conv(n_items, self.config)


class _Conv(Network):
    def __init__(self, n_items: int, config: ConvAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(n_items, config.width))
        self.convolutions = nn.ModuleList(
            nn.utils.skip_init(  # type: ignore[no-untyped-call]
                nn.Conv1d, config.width, config.width, 2 * config.reach + 1, padding=config.reach
            )
            for _ in range(config.layers)
        )
        self.decoder = linear(config.width, n_items)

    def forward(self, batch: Batch) -> Tensor:
        return self._logits(batch, batch.weights)

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:  # noqa: ARG002
        weights = drop_entries(batch.weights, self.config.dropout, generator)
        return multinomial_loss(self._logits(batch, weights), batch)

    def latents(self, batch: Batch) -> Tensor:
        return self._code(batch, batch.weights)

    def item_vectors(self) -> Tensor:
        return self.decoder.weight

    def _logits(self, batch: Batch, weights: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self._code(batch, weights))
        return logits

    def _code(self, batch: Batch, weights: Tensor) -> Tensor:
        """Return float32 (b, width)."""
        hidden, there = self._sequences(batch, weights)
        for convolution in self.convolutions:
            hidden = hidden + convolution(hidden).relu() * there
        return (hidden.sum(2) / there.sum(2).clamp(min=1).sqrt()).tanh()

    def _sequences(self, batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings, (b, width, length), newest last, and where there are any, 1 or 0."""
        size, length, width = len(batch), self.config.length, self.config.width
        read = batch.recency < length  # (nnz,)
        places = batch.rows[read] * length + (length - 1 - batch.recency[read])
        entries = functional.embedding(batch.columns[read], self.embedding)  # (n read, width)
        entries = entries * weights[read, None]
        sequences = entries.new_zeros(size * length, width).index_copy(0, places, entries)
        there = sequences.new_zeros(size * length).index_fill(0, places, 1)
        return sequences.view(size, length, width).transpose(1, 2), there.view(size, 1, length)
