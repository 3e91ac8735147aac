"""ELSA: a linear autoencoder whose item × item matrix has a low rank (Vančura et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.autoencoders.base import NeuralModel
from recsys.models.autoencoders.layers import sum_rows, without_itself
from recsys.settings import Search
from recsys.training.batches import Batch
from recsys.training.loop import TrainingConfig
from recsys.training.losses import cosine_loss
from recsys.training.network import Network


@dataclass(frozen=True)
class ELSAConfig(TrainingConfig):
    """Settings of ELSA.

    Attributes
    ----------
    factors
        Columns of A; memory grows with items × factors, not with items².
    """

    learning_rate: Annotated[float, Field(gt=0), Search(5e-4, 1e-2, log=True)] = 3e-3
    factors: Annotated[int, Field(ge=1), Search(choices=(256, 512, 1024))] = 512


class ELSA(NeuralModel[ELSAConfig]):
    """Scores x (A Aᵀ − I), the rows of A of length 1, so that no item speaks for itself.

    It does what EASE does for catalogues whose item × item matrix would not fit: A is
    (n_items, factors), and Σ over histories of ‖z/‖z‖ − x/‖x‖‖² is minimised, z being the scores.
    """

    name: ClassVar[str] = "elsa"
    config_type: ClassVar[type[ELSAConfig]] = ELSAConfig

    def _build(self, n_items: int) -> _ELSA:
        return _ELSA(n_items, self.config.factors)


class _ELSA(Network):
    def __init__(self, n_items: int, factors: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.empty(n_items, factors))

    def forward(self, batch: Batch) -> Tensor:
        return without_itself(self.factors, batch, batch.weights)

    def latents(self, batch: Batch) -> Tensor:
        """Return x A, float32 (b, factors)."""
        return sum_rows(self.item_vectors(), batch, batch.weights)

    def item_vectors(self) -> Tensor:
        return functional.normalize(self.factors)

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:  # noqa: ARG002
        return cosine_loss(self(batch), batch)
