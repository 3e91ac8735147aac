"""The residual autoencoder: a neural network beside a linear model of low rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.autoencoders.base import NeuralModel
from recsys.models.autoencoders.layers import HistoryLayer, drop_entries, without_itself
from recsys.settings import Search
from recsys.training.batches import Batch
from recsys.training.loop import TrainingConfig
from recsys.training.losses import hidden_cosine_loss
from recsys.training.network import Network


@dataclass(frozen=True)
class ResidualAutoencoderConfig(TrainingConfig):
    """Settings of the residual autoencoder.

    Attributes
    ----------
    width
        Size of the network's code.
    factors
        Columns of A, the linear part; memory grows with items × factors, not with items².
    dropout
        Share of a history's entries hidden from the input in training, and to be found.
    length_power
        γ: a history of total weight |x| counts |x|^γ. At 0 all count alike, at 1 each of their
        entries does.
    """

    width: Annotated[int, Field(ge=1), Search(choices=(300, 600, 1000))] = 600
    factors: Annotated[int, Field(ge=1), Search(choices=(256, 512, 1024))] = 512
    dropout: Annotated[float, Field(gt=0, lt=1), Search(0.3, 0.7)] = 0.5
    length_power: Annotated[float, Field(ge=0, le=1), Search(0.2, 0.8)] = 0.5


class ResidualAutoencoder(NeuralModel[ResidualAutoencoderConfig]):
    """Scores by a linear autoencoder and by what a network adds to it, trained together.

    With x̃ a history scaled to length 1 and corrupted by dropout, the rows of A of length 1,

        z = tanh(x̃ W + b) Wᵀ + c + e^s x̃ (A Aᵀ − I)

    that is ELSA (Vančura et al. 2022) beside an encoder that its decoder mirrors, as VASP sets
    EASE beside a variational one (Vančura & Kordík 2021). Minimised is the mean, weighted by
    |x|^γ, of ‖z/‖z‖ − x/‖x‖‖² over the entries that dropout has hidden and the items that the
    history lacks: those left in the input are neither to be found nor in the way, as in a list
    that leaves out what was seen. Scores are z for the undropped history.
    """

    name: ClassVar[str] = "residual-autoencoder"
    config_type: ClassVar[type[ResidualAutoencoderConfig]] = ResidualAutoencoderConfig

    def _build(self, n_items: int) -> _Residual:
        return _Residual(n_items, self.config)


class _Residual(Network):
    def __init__(self, n_items: int, config: ResidualAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = HistoryLayer(n_items, config.width)  # W, b
        self.bias = nn.Parameter(torch.empty(n_items))  # c
        self.factors = nn.Parameter(torch.empty(n_items, config.factors))  # A
        self.log_scale = nn.Parameter(torch.empty(()))  # s

    def forward(self, batch: Batch) -> Tensor:
        return self._scores(batch, batch.normalised)

    def latents(self, batch: Batch) -> Tensor:
        """Return the network's code, float32 (b, width); the linear part has none."""
        return self._code(batch, batch.normalised)

    def item_vectors(self) -> Tensor:
        return self.encoder.weight

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:  # noqa: ARG002
        weights = drop_entries(batch.normalised, self.config.dropout, generator)
        scores = self._scores(batch, weights)
        return hidden_cosine_loss(scores, batch, weights == 0, self.config.length_power)

    def _scores(self, batch: Batch, weights: Tensor) -> Tensor:
        code = self._code(batch, weights)
        network = functional.linear(code, self.encoder.weight, self.bias)  # (b, n_items)
        return network + self.log_scale.exp() * without_itself(self.factors, batch, weights)

    def _code(self, batch: Batch, weights: Tensor) -> Tensor:
        """Return float32 (b, width)."""
        code: Tensor = self.encoder(batch, weights).tanh()
        return code
