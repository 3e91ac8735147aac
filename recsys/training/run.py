"""Where a training run stands: all that a checkpoint keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from recsys.training.network import Network
from recsys.training.validation import METRIC


@dataclass(eq=False)
class Run:
    """A run after `epoch` epochs.

    Attributes
    ----------
    network, optimizer
        As they stand.
    noise, order
        Generators: of what is random within a step, each process having its own; and of the order
        of the histories, which all share.
    mean
        The running mean of the network's weights, where that is what counts.
    epoch
        Epochs done.
    curve
        One point an epoch: `epoch`, `loss` (mean over histories), what the network measured, with
        validation `ndcg@100`.
    best_epoch
        The epoch whose weights are kept; 0 before the first has ended.
    best
        Those weights.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    noise: torch.Generator
    order: torch.Generator
    mean: AveragedModel | None = None
    epoch: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def stale(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    @property
    def note(self) -> str:
        """The newest loss and metric, for a person to read."""
        newest = self.curve[-1] if self.curve else {}
        return "  ".join(f"{name} {newest[name]:.4g}" for name in newest if name != "epoch")

    def gradients(self) -> list[Tensor]:
        """Return the gradients of all weights that learn."""
        weights = self.network.parameters()
        return [weight.grad for weight in weights if weight.grad is not None]

    @property
    def result(self) -> Network:
        """The network that validation sees and whose weights are kept."""
        if self.mean is None:
            return self.network
        network: Network = self.mean.module  # type: ignore[assignment]
        return network

    def average(self) -> None:
        """Let the epoch that has ended into the running mean, where there is one."""
        if self.mean is not None:
            self.mean.update_parameters(self.network)

    def record(self, loss: float, metric: float | None, *, choose: bool = True) -> None:
        """Close an epoch. The best one's weights are kept; without a choice, the last one's."""
        self.epoch += 1
        self.curve.append({"epoch": self.epoch, "loss": loss, **self.network.measured()})
        if metric is not None:
            self.curve[-1][METRIC] = metric
            best = self.curve[self.best_epoch - 1][METRIC] if self.best_epoch else -math.inf
            if choose and metric <= best:
                return
        weights = self.result.state_dict()
        self.best = {name: tensor.detach().clone() for name, tensor in weights.items()}
        self.best_epoch = self.epoch
