"""What every model with a network shares: fitting by the one loop, scoring, saving."""

from __future__ import annotations

import copy
import logging
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from recsys.errors import NotFittedError
from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.models.autoencoders.layers import initialise
from recsys.models.base import Embedding, Factored, Model, RunOptions
from recsys.settings import Search
from recsys.training.batches import DeviceHistories
from recsys.training.checkpoints import Checkpoints, fingerprint
from recsys.training.device import choose_device, generator_of
from recsys.training.distributed import world
from recsys.training.loop import TrainingConfig, train
from recsys.training.network import Network, headless, mapped

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AutoencoderConfig(TrainingConfig):
    """How an autoencoder is shaped and trained.

    Attributes
    ----------
    hidden
        Widths of the layers from the input to the code; the decoder mirrors them.
    sampled
        Items drawn for each batch that stand for all those not in it, in the loss; None takes all.
        For catalogues of tens of thousands, where the softmax takes most of the time; a step then
        moves the weights of those items alone that take part in it.
    negatives
        How they are drawn: `uniform`, or by how many histories hold them, `popularity`. The loss
        corrects for it.
    """

    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(min_length=1),
        Search(choices=((300,), (600,), (1000,), (600, 200))),
    ] = (600,)
    sampled: Annotated[int, Field(ge=1)] | None = None
    negatives: Literal["uniform", "popularity"] = "uniform"


ConfigT = TypeVar("ConfigT", bound=TrainingConfig)


class NeuralModel(Model[ConfigT]):
    """A model that is a network; a subclass states its config and builds the network.

    Attributes
    ----------
    curve
        One point an epoch of the last fit: `epoch`, `loss`, what else the network measures
        and, with validation, `ndcg@100`.
    """

    has_latents = True

    def __init__(self, config: ConfigT | None = None) -> None:
        super().__init__(config)
        self.curve: list[dict[str, float]] = []
        self._network: Network | None = None
        self._best_epoch: int | None = None

    @abstractmethod
    def _build(self, n_items: int) -> Network:
        """Return the network, its weights still to be drawn or loaded."""

    @property
    def chosen(self) -> ConfigT:
        """The config with the best epoch as the number of epochs.

        Schedules are functions of the epoch, so a refit with it repeats that part of this run.
        """
        if self._best_epoch is None:
            return self.config
        return replace(self.config, epochs=self._best_epoch)

    @classmethod
    def chooses(cls, config: ConfigT) -> bool:
        """Return whether validation is to choose the number of epochs."""
        return config.patience is not None

    def tensors(self) -> Tensors:
        """Return the network's weights by name."""
        weights = self._fitted.state_dict()
        return {name: tensor.cpu().numpy() for name, tensor in weights.items()}

    def _fit(self, train_on: Histories, validation: HeldOut | None, options: RunOptions) -> None:
        self.curve, self._network, self._best_epoch = [], None, None
        if validation is not None and validation.target.matrix.nnz == 0:
            logger.warning("no validation user has anything to find: training for all epochs")
            validation = None
        device = choose_device(options.device)
        network = self._build(train_on.n_items).to(device)
        initialise(network, generator_of(device, options.seed))
        histories = DeviceHistories(
            self._seen(train_on), device, popularity=self._draws_by_popularity, world=world()
        )
        run = train(
            network,
            histories,
            validation,
            self.config,
            seed=options.seed,
            checkpoints=self._checkpoints(train_on, validation, options, device),
            watch=options.watch,
        )
        network.release()
        self.curve, self._network, self._best_epoch = run.curve, network, run.best_epoch

    def _checkpoints(
        self,
        train_on: Histories,
        validation: HeldOut | None,
        options: RunOptions,
        device: torch.device,
    ) -> Checkpoints | None:
        if options.checkpoints is None:
            return None
        held_out = () if validation is None else (validation.given, validation.target)
        identity = {
            "model": self.name,
            "config": asdict(self.config),
            "data": fingerprint(train_on, *held_out),
            "seed": options.seed,
            "device": device.type,
            "processes": world().size,
        }
        return Checkpoints(options.checkpoints, identity, options.resume)

    def _score(self, histories: Histories) -> FloatArray:
        return self._fitted.score(self._seen(histories))

    @torch.inference_mode()
    def _embed(self, histories: Histories) -> Embedding:
        network = self._fitted
        batch = DeviceHistories(self._seen(histories), network.device).all()
        return Embedding(network.latents(batch).numpy(force=True))

    @torch.inference_mode()
    def _item_vectors(self) -> FloatArray:
        vectors: FloatArray = self._fitted.item_vectors().numpy(force=True)
        return vectors

    def factored(self) -> Factored | None:
        """Return the network without its output layer, and that layer, where it comes last."""
        parts = headless(self._fitted, self.n_items)
        if parts is None:
            return None
        network, output = parts
        return Factored(
            lambda histories: network.score(self._seen(histories)),
            output.weight.detach().numpy(),
            output.bias.detach().numpy(),
        )

    def scores_on(self, device: str) -> Callable[[Histories], Tensor]:
        """Return what scores histories by a copy of the network on a device."""
        place = choose_device(device)
        network = copy.deepcopy(self._fitted).to(place)
        return lambda histories: network(DeviceHistories(self._seen(histories), place).all())

    @property
    def _draws_by_popularity(self) -> bool:
        config = self.config
        return isinstance(config, AutoencoderConfig) and config.negatives == "popularity"

    def _seen(self, histories: Histories) -> Histories:
        """Return the histories without the times that most networks have no use for."""
        return histories if self.needs_times else Histories(histories.matrix)

    def _restore(self, n_items: int, tensors: Tensors) -> None:
        network = self._build(n_items)
        network.release()
        weights = {name: mapped(array) for name, array in tensors.items()}
        network.load_state_dict(weights, assign=True)
        self._network = network

    @property
    def _fitted(self) -> Network:
        if self._network is None:
            raise NotFittedError(f"{self.name} is not fitted yet; call fit first")
        return self._network
