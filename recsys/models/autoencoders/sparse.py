"""The sparse autoencoder: a wide code of which few units are active (Makhzani & Frey 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from recsys.models.autoencoders.base import NeuralModel
from recsys.models.autoencoders.layers import HistoryLayer, drop_entries, linear
from recsys.settings import Search
from recsys.training.batches import Batch
from recsys.training.loop import TrainingConfig
from recsys.training.losses import multinomial_loss
from recsys.training.network import Network


@dataclass(frozen=True)
class SparseAutoencoderConfig(TrainingConfig):
    """Settings of the sparse autoencoder.

    Attributes
    ----------
    units
        Size of the code.
    active
        Most units of it that a history may activate.
    dropout
        Share of a history's entries hidden from the input in training.
    """

    units: Annotated[int, Field(ge=1), Search(choices=(600, 1000, 2000))] = 1000
    active: Annotated[int, Field(ge=1), Search(25, 400, log=True)] = 100
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.2, 0.8)] = 0.5


class SparseAutoencoder(NeuralModel[SparseAutoencoderConfig]):
    """Rebuilds a history from the few units of a wide code that answer to it most.

    For a history x, scaled to length 1, the code is h = top_k(relu(x W + b)), the other units 0,
    and the logits are z = h V + c; minimised is −Σ_i x_i log softmax(z)_i. Keeping the k largest
    makes a code exactly sparse, whatever the data; a penalty on its size (L1, KL) only makes it
    small, and how sparse it ends up has to be tuned. The share of units that are not 0, averaged
    over the training histories as the network saw them, is the `active_share` of each point of
    `curve`.
    """

    name: ClassVar[str] = "sparse-autoencoder"
    config_type: ClassVar[type[SparseAutoencoderConfig]] = SparseAutoencoderConfig

    def _build(self, n_items: int) -> _Sparse:
        return _Sparse(n_items, self.config)


class _Sparse(Network):
    _n_active: Tensor

    def __init__(self, n_items: int, config: SparseAutoencoderConfig) -> None:
        super().__init__()
        self.first = HistoryLayer(n_items, config.units)
        self.decoder = linear(config.units, n_items)
        self.active = min(config.active, config.units)
        self.dropout = config.dropout
        self.register_buffer("_n_active", torch.zeros((), dtype=torch.int64), persistent=False)
        self._n_units = 0

    def begin_epoch(self, epoch: int) -> None:  # noqa: ARG002
        """Start counting active units anew."""
        self._n_active.zero_()
        self._n_units = 0

    def measured(self) -> dict[str, float]:
        return {"active_share": self._n_active.item() / self._n_units}

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.decoder(self.code(batch, batch.normalised))
        return logits

    def latents(self, batch: Batch) -> Tensor:
        return self.code(batch, batch.normalised)

    def item_vectors(self) -> Tensor:
        return self.decoder.weight

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:  # noqa: ARG002
        code = self.code(batch, drop_entries(batch.normalised, self.dropout, generator))
        self._n_active += code.detach().count_nonzero()
        self._n_units += code.numel()
        return multinomial_loss(self.decoder(code), batch)

    def code(self, batch: Batch, weights: Tensor) -> Tensor:
        """Return float32 (b, units) with at most `active` units of a row above 0."""
        full = self.first(batch, weights).relu()
        largest = full.topk(self.active, dim=1)
        return torch.zeros_like(full).scatter(1, largest.indices, largest.values)
