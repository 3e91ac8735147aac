"""RecVAE: a variational autoencoder held to its own past (Shenbin et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.autoencoders.layers import HistoryLayer, drop_entries, linear
from recsys.models.autoencoders.variational import VariationalModel, VariationalNetwork
from recsys.settings import Search
from recsys.training.batches import Batch
from recsys.training.loop import TrainingConfig
from recsys.training.losses import multinomial_loss

_ROUND = 4  # epochs: three for the encoder, the fourth for the decoder
_DEPTH = 5  # layers of the encoder
_STANDARD, _OLD, _WIDE = 0.15, 0.75, 0.10  # shares of the prior
_WIDE_LOG_VARIANCE = 10.0


@dataclass(frozen=True)
class RecVAEConfig(TrainingConfig):
    """Settings of RecVAE.

    Three epochs of four train the encoder and the fourth the decoder, so that `epochs` and
    `patience` count four to one round of the paper.

    Attributes
    ----------
    width
        Width of the encoder's five layers.
    latent
        Size of the latent.
    dropout
        Share of a history's entries hidden from the input while the encoder learns.
    gamma
        Weight of the KL term per unit of a history's total weight.
    """

    epochs: Annotated[int, Field(ge=1)] = 200
    patience: Annotated[int, Field(ge=1)] | None = 20
    learning_rate: Annotated[float, Field(gt=0), Search(3e-4, 2e-3, log=True)] = 5e-4
    width: Annotated[int, Field(ge=1)] = 600
    latent: Annotated[int, Field(ge=1), Search(choices=(200, 300, 400))] = 200
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.2, 0.8)] = 0.5
    gamma: Annotated[float, Field(ge=0), Search(1e-3, 0.02, log=True)] = 0.005


class RecVAE(VariationalModel[RecVAEConfig]):
    """Rebuilds a history from a distribution over latents that must not run from what it was.

    The encoder turns a history x, scaled to length 1, into q(u|x) = N(μ, σ²); the linear decoder
    turns a sample u into logits z. Minimised is

        −Σ_i x_i log softmax(z)_i + γ |x| KL(q(u|x) ‖ p(u|x)),  |x| = Σ_i x_i
        p(u|x) = .15 N(0, 1) + .75 q_old(u|x) + .10 N(0, e^10)

    where q_old is the encoder as it was before its last three epochs, and the KL is estimated at
    the sample. Encoder and decoder learn in turns; the input is corrupted by dropout for the
    encoder alone. Scores are the logits at u = μ.
    """

    name: ClassVar[str] = "recvae"
    config_type: ClassVar[type[RecVAEConfig]] = RecVAEConfig

    def _build(self, n_items: int) -> _RecVAE:
        return _RecVAE(n_items, self.config)


class _RecVAE(VariationalNetwork):
    def __init__(self, n_items: int, config: RecVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(n_items, config.width, config.latent)
        self.old = _Encoder(n_items, config.width, config.latent).requires_grad_(False)
        self.decoder = linear(config.latent, n_items)

    def begin_epoch(self, epoch: int) -> None:
        """Give the epoch to the encoder or the decoder; a round starts by keeping the encoder."""
        for_decoder = _is_for_decoder(epoch)
        self.encoder.requires_grad_(not for_decoder)
        self.decoder.requires_grad_(for_decoder)
        if epoch % _ROUND == 0:
            self.old.load_state_dict(self.encoder.state_dict())

    def release(self) -> None:
        del self.old

    def encode(self, batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(batch, weights)
        return mean, log_variance

    def decode(self, latent: Tensor) -> Tensor:
        logits: Tensor = self.decoder(latent)
        return logits

    def item_vectors(self) -> Tensor:
        return self.decoder.weight

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        for_decoder = _is_for_decoder(epoch)
        whole = batch.normalised
        seen = whole if for_decoder else drop_entries(whole, self.config.dropout, generator)
        mean, log_variance = self.encode(batch, seen)  # (b, latent) each
        noise = torch.empty_like(mean).normal_(generator=generator)
        latent = mean + (log_variance / 2).exp() * noise
        loss = multinomial_loss(self.decoder(latent), batch)
        if for_decoder:  # to which the KL term is a constant
            return loss
        divergence = _log_normal(latent, mean, log_variance)
        divergence = divergence - _log_prior(latent, *self.old(batch, whole))
        return loss + self.config.gamma * (batch.totals * divergence.sum(1)).mean()


class _Encoder(nn.Module):
    """Five layers of swish and layer norm, each of which sees the outputs of all before it."""

    def __init__(self, n_items: int, width: int, latent: int) -> None:
        super().__init__()
        self.first = HistoryLayer(n_items, width)
        self.rest = nn.ModuleList(linear(width, width) for _ in range(_DEPTH - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=0.1) for _ in range(_DEPTH))
        self.mean = linear(width, latent)
        self.log_variance = linear(width, latent)

    def forward(self, batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        output = self.norms[0](functional.silu(self.first(batch, weights)))  # (b, width)
        before = output
        for layer, norm in zip(self.rest, self.norms[1:], strict=True):
            output = norm(functional.silu(layer(output) + before))
            before = before + output
        return self.mean(output).float(), self.log_variance(output).float()


def _is_for_decoder(epoch: float) -> bool:
    return int(epoch) % _ROUND == _ROUND - 1


def _log_prior(latent: Tensor, old_mean: Tensor, old_log_variance: Tensor) -> Tensor:
    """Return the log-density of each dimension under the composite prior: (b, latent)."""
    zero = torch.zeros((), device=latent.device)
    parts = (
        math.log(_STANDARD) + _log_normal(latent, zero, zero),
        math.log(_OLD) + _log_normal(latent, old_mean, old_log_variance),
        math.log(_WIDE) + _log_normal(latent, zero, zero + _WIDE_LOG_VARIANCE),
    )
    return torch.stack(parts).logsumexp(0)


def _log_normal(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squares = (value - mean).square() * (-log_variance).exp()
    return -0.5 * (math.log(2 * math.pi) + log_variance + squares)
