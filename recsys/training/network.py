"""What the loop, the checkpoints and the scoring ask of a network."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
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
    def latents(self, batch: Batch) -> Tensor:
        """Return the latents of histories, (b, width): the code, or its mean."""

    @abstractmethod
    def item_vectors(self) -> Tensor:
        """Return what the last layer has of each item: (n_items, width)."""

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


def mapped(array: npt.NDArray[Any]) -> Tensor:
    """Return a tensor over an array's own memory, so that processes go on sharing a mapped file.

    Nothing may write to it: the memory may be read-only, which tensors know nothing of.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(array))


def headless(network: Network, n_out: int) -> tuple[Network, nn.Linear] | None:
    """Return a network without its output layer, of width `n_out`, and that layer.

    The network shares its weights with the one given. None where no such layer, or more than one,
    is there, where it is not what a network ends with, or on another device than the processor.
    """
    outputs = [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == n_out and layer.bias is not None
    ]
    if len(outputs) != 1 or network.device.type != "cpu":
        return None
    kept: dict[int, Any] = {id(weight): weight for weight in network.parameters()}
    kept |= {id(weight): weight for weight in network.buffers()}
    body = copy.deepcopy(network, kept | {id(outputs[0]): nn.Identity()})
    return (body, outputs[0]) if _ends_with(network, body, outputs[0]) else None


@torch.inference_mode()
def _ends_with(network: Network, body: Network, output: nn.Linear) -> bool:
    """Try a history of one item, and one of many."""
    n_items = output.out_features
    lengths = torch.tensor([0, 1, 1 + (n_items + 1) // 2])
    columns = torch.cat([torch.tensor([n_items // 2]), torch.arange(0, n_items, 2)])
    batch = Batch(lengths, columns, torch.ones(len(columns)), n_items, torch.arange(len(columns)))
    hidden = body(batch)
    if hidden.shape != (2, output.in_features):
        return False
    expected = network(batch)
    error = (output(hidden) - expected).abs().max()
    return bool(error <= 1e-4 * expected.abs().max())
