"""The training loop: one for every torch model."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from recsys.errors import TrainingError
from recsys.interactions.tables import HeldOut
from recsys.progress import Bar, progress
from recsys.settings import Search
from recsys.training.batches import DeviceHistories
from recsys.training.checkpoints import Checkpoints
from recsys.training.device import Precision, generator_of, matrix_products
from recsys.training.network import Network
from recsys.training.optimizer import Adam
from recsys.training.run import Run
from recsys.training.validation import DeviceHeldOut

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained; the config of every torch model begins with these.

    Attributes
    ----------
    epochs
        Passes over the histories: the most there may be with validation, else how many there are.
    patience
        Epochs without a better validation metric after which to stop; None takes `epochs` as it
        is, and chooses nothing.
    batch_size
        Histories a step.
    learning_rate, weight_decay
        Of Adam, the former for batches of up to 250: larger ones learn faster, by the root of how
        much larger they are (Malladi et al. 2022). The decay is an L2 penalty on all weights.
    averaging
        Validated and kept is a running mean of the weights: after each epoch this share of it stays
        and the epoch's weights are the rest. It evens out the noise of the last steps; 0 takes the
        weights as they are.
    precision
        Of the products with weights: `float32`, `bfloat16`, or `auto`, which takes bfloat16 where
        the device multiplies it natively. Weights, sums and scores are float32 in any case.
    """

    epochs: Annotated[int, Field(ge=1)] = 100
    patience: Annotated[int, Field(ge=1)] | None = 5
    batch_size: Annotated[int, Field(ge=1)] = 250
    learning_rate: Annotated[float, Field(gt=0), Search(3e-4, 1e-2, log=True)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    averaging: Annotated[float, Field(ge=0, lt=1), Search(choices=(0.0, 0.5, 0.75))] = 0.0
    precision: Precision = "auto"

    @property
    def step_size(self) -> float:
        """The learning rate for batches of this size."""
        return self.learning_rate * math.sqrt(max(1.0, self.batch_size / _USUAL_BATCH))


_USUAL_BATCH = 250


def train(
    network: Network,
    histories: DeviceHistories,
    validation: HeldOut | None,
    config: TrainingConfig,
    *,
    seed: int,
    checkpoints: Checkpoints | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> Run:
    """Train a network in place and leave the best epoch's weights in it.

    With validation the best epoch is the one of the highest NDCG@100, and training stops when it
    lies `patience` epochs back; without it, or with a patience of None, all `config.epochs` are
    trained and the last is kept. An interrupt (Ctrl-C) ends training early with what is best so
    far.

    Parameters
    ----------
    network
        Freshly initialised, on the training device.
    histories
        What to learn from, on the same device.
    validation
        Users on whom to choose the epoch; None trains all epochs.
    seed
        Of shuffling and noise.
    config
        Epochs, batches, optimiser.
    checkpoints
        Where each epoch's state is kept, and perhaps found.
    watch
        Called after each epoch with it and its metric, where there is validation; it may raise.

    Raises
    ------
    TrainingError
        The loss is no longer finite, or the checkpoint is damaged or of another run.
    KeyboardInterrupt
        Interrupted before the first epoch ended.
    """
    optimizer = Adam(network.parameters(), config.step_size, config.weight_decay)
    world, device = histories.world, network.device
    noise, order = (generator_of(device, seed, *part) for part in ((1, world.rank), (0,)))
    run = Run(network, optimizer, noise, order)
    if config.averaging:
        running = get_ema_avg_fn(config.averaging)  # type: ignore[no-untyped-call]
        run.mean = AveragedModel(network, avg_fn=running)
    if checkpoints is not None:
        checkpoints.load_into(run, world)
    held_out = None if validation is None else DeviceHeldOut(validation, device, world)
    n_batches = histories.n_batches(config.batch_size)
    with progress("training", config.epochs * n_batches) as bar:
        bar.advance(run.epoch * n_batches)
        try:
            while run.epoch < config.epochs and run.stale < (config.patience or math.inf):
                loss = _train_epoch(run, histories, config, bar)
                if not math.isfinite(loss):
                    raise TrainingError(
                        f"the loss of epoch {run.epoch + 1} is {loss}; "
                        f"try a lower learning_rate (it is {config.learning_rate:g})"
                    )
                run.average()
                metric = None if held_out is None else held_out.validate(run.result)
                run.record(loss, metric, choose=config.patience is not None)
                if checkpoints is not None:
                    checkpoints.save(run, world)
                if watch is not None and metric is not None:
                    watch(run.epoch, metric)
        except KeyboardInterrupt:
            if run.best_epoch == 0 or world.size > 1:  # the others would wait for this one
                raise
            logger.warning("interrupted: going on with the weights of epoch %d", run.best_epoch)
    network.load_state_dict(run.best)
    return run


def _train_epoch(run: Run, histories: DeviceHistories, config: TrainingConfig, bar: Bar) -> float:
    """Take one step a batch; return the mean loss of a history."""
    n_batches = histories.n_batches(config.batch_size)
    run.network.begin_epoch(run.epoch)
    note = f"epoch {run.epoch + 1} of {config.epochs}  {run.note}"
    total = torch.zeros((), device=run.network.device)  # stays there: no wait after each step
    for index, step in enumerate(histories.shuffled(config.batch_size, run.order)):
        with matrix_products(run.network.device, config.precision):
            loss = run.network.loss(step.batch, run.noise, run.epoch + index / n_batches)
            loss = loss * step.share
        run.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        histories.world.add_up(run.gradients())
        run.optimizer.step()
        total += loss.detach() * step.size
        bar.advance(note=note)
    histories.world.add_up([total])
    return total.item() / histories.n_histories
