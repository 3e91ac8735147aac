"""What the loop, the checkpoints and the scoring ask of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from recsys.interactions.tables import FloatArray, Histories
from recsys.training.batches import Batch, DeviceHistories


class Network(nn.Module, ABC):
    """Logits for a batch of histories, and the loss to train them by.

    Noise enters `loss` alone, from the generator that it is given; `forward` has none, so there
    is no mode to switch before scoring.
    """

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Return float32 (b, n_items): how well each item fits each history."""

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Tensor:
        """Return the mean loss of the batch's histories, a scalar.

        Parameters
        ----------
        batch
            b histories, both input and target.
        generator
            Source of all noise, on the network's device.
        epoch
            Epochs done, with the part of the one that is going on; for schedules.
        """

    def begin_epoch(self, epoch: int) -> None:
        """Get ready for an epoch, `epoch` of them done: choose which weights learn, say.

        Called before each epoch, the first after a resumption too. What must outlive an
        interruption belongs to `state_dict`.
        """

    def measured(self) -> dict[str, float]:
        """Return what else to note of the epoch that has ended, by name, for the curve."""
        return {}

    def release(self) -> None:
        """Let go of the parts that only training needs; a network to be restored has none."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.inference_mode()
    def score(self, histories: Histories) -> FloatArray:
        """Return the logits of any histories in memory: float32 (b, n_items)."""
        logits: Tensor = self(DeviceHistories(histories, self.device).all())
        scores: FloatArray = logits.cpu().numpy()
        return scores
