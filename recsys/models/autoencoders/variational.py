"""What Mult-VAE and RecVAE share: posteriors of histories, and scores of latents."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from recsys.interactions.tables import FloatArray, Histories
from recsys.models.autoencoders.base import ConfigT, NeuralModel
from recsys.models.base import Embedding
from recsys.training.batches import Batch, DeviceHistories
from recsys.training.network import Network


class VariationalNetwork(Network):
    """An encoder to a normal distribution over latents, and a decoder of latents."""

    @abstractmethod
    def encode(self, batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance, float32 (b, latent) each.

        `weights`, (nnz,), are those of the batch's entries: scaled, in training corrupted too.
        """

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Return the logits of latents, (b, latent): float32 (b, n_items)."""

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits at the mean."""
        return self.decode(self.latents(batch))

    def latents(self, batch: Batch) -> Tensor:
        """Return the means."""
        return self.encode(batch, batch.normalised)[0]


class VariationalModel(NeuralModel[ConfigT]):
    """A model whose network is a `VariationalNetwork`; see `recsys.models.variational`."""

    @torch.inference_mode()
    def posterior(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        """Return means and variances of the latents of histories: float32 (b, latent) each."""
        network = self._variational
        batch = DeviceHistories(self._seen(histories), network.device).all()
        mean, log_variance = network.encode(batch, batch.normalised)
        return mean.cpu().numpy(), log_variance.exp().cpu().numpy()

    def _embed(self, histories: Histories) -> Embedding:
        return Embedding(*self.posterior(histories))

    @torch.inference_mode()
    def decode(self, latents: FloatArray) -> FloatArray:
        """Return the logits of latents, (b, latent): float32 (b, n_items)."""
        network = self._variational
        logits: FloatArray = network.decode(torch.tensor(latents, device=network.device)).numpy(
            force=True
        )
        return logits

    @property
    def _variational(self) -> VariationalNetwork:
        network = self._fitted
        if not isinstance(network, VariationalNetwork):
            raise TypeError(f"{self.name} has a network without a latent distribution")
        return network
