"""Mult-VAE: the variational autoencoder with a multinomial likelihood (Liang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.autoencoders.base import AutoencoderConfig
from recsys.models.autoencoders.layers import (
    HistoryLayer,
    drop_entries,
    multinomial,
    tanh_layers,
)
from recsys.models.autoencoders.variational import VariationalModel, VariationalNetwork
from recsys.settings import Search
from recsys.training.batches import Batch
from recsys.training.losses import gaussian_kl
from recsys.training.schedules import ramp


@dataclass(frozen=True)
class MultVAEConfig(AutoencoderConfig):
    """Settings of Mult-VAE; the last of `hidden` is the size of the latent.

    Attributes
    ----------
    dropout
        Share of a history's entries hidden from the input in training.
    beta
        Weight of the KL term once annealed.
    anneal_epochs
        Epochs over which it rises from 0. The paper's 200,000 steps would never end in a shop of
        a few thousand users.
    noise
        Deviation of the latents drawn in training, as a share of the posterior's. 1 is the paper's;
        with .01, as libraries have it, little is left of the sampling, and it learns sooner.
    """

    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(min_length=2),
        Search(choices=((600, 200), (600, 400), (1000, 300))),
    ] = (600, 200)
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.2, 0.8)] = 0.5
    beta: Annotated[float, Field(ge=0), Search(0.02, 1.0, log=True)] = 0.2
    anneal_epochs: Annotated[float, Field(ge=0)] = 20
    noise: Annotated[float, Field(ge=0, le=1), Search(choices=(0.01, 0.3, 1.0))] = 1.0


class MultVAE(VariationalModel[MultVAEConfig]):
    """Rebuilds a history from a distribution over latents.

    The encoder turns a history, scaled to length 1 and corrupted by dropout, into a mean μ and a
    variance σ²; the decoder turns a sample u ~ N(μ, σ²) into logits z; minimised is
    −Σ_i x_i log softmax(z)_i + β KL(N(μ, σ²) ‖ N(0, 1)). Scores are the logits at u = μ.
    """

    name: ClassVar[str] = "mult-vae"
    config_type: ClassVar[type[MultVAEConfig]] = MultVAEConfig

    def _build(self, n_items: int) -> _VAE:
        return _VAE(n_items, self.config)


class _VAE(VariationalNetwork):
    def __init__(self, n_items: int, config: MultVAEConfig) -> None:
        super().__init__()
        *widths, latent = config.hidden
        self.config = config
        self.first = HistoryLayer(n_items, widths[0], sparse=config.sampled is not None)
        self.encoder = tanh_layers((*widths, 2 * latent))
        self.decoder = tanh_layers((latent, *reversed(widths), n_items))

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        weights = drop_entries(batch.normalised, self.config.dropout, generator)
        mean, log_variance = self.encode(batch, weights)  # (b, latent) each
        noise = torch.empty_like(mean).normal_(generator=generator)
        latent = mean + self.config.noise * (log_variance / 2).exp() * noise
        loss = multinomial(self.decoder, latent, batch, self.config.sampled, generator)
        beta = ramp(epoch, self.config.anneal_epochs, self.config.beta)
        return loss + beta * gaussian_kl(mean, log_variance)

    def encode(self, batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(self.first(batch, weights).tanh()).float()  # (b, 2 latent)
        mean, log_variance = code.chunk(2, dim=1)
        return mean, log_variance

    def latents(self, batch: Batch) -> Tensor:
        """Return the means alone, without the half of the last layer that makes the variances."""
        last: nn.Linear = self.encoder[-1]  # type: ignore[assignment]
        code = self.encoder[:-1](self.first(batch, batch.normalised).tanh())
        n = self.config.hidden[-1]
        return functional.linear(code, last.weight[:n], last.bias[:n])  # (b, n)

    def decode(self, latent: Tensor) -> Tensor:
        logits: Tensor = self.decoder(latent)
        return logits

    def item_vectors(self) -> Tensor:
        output: nn.Linear = self.decoder[-1]  # type: ignore[assignment]
        return output.weight
