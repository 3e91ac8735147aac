"""The one interface that every model has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from recsys.errors import DataError, NotFittedError, UsageError
from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.models.item_item import Grams
from recsys.settings import Search, searchable


@dataclass(frozen=True)
class RunOptions:
    """How to run a fit, apart from what is fitted: none of these is a model's setting.

    Attributes
    ----------
    seed
        Seeds the generator of everything random in the fit.
    device
        `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`; for torch models.
    checkpoints
        Folder for checkpoints of long fits; None writes none.
    resume
        Go on from the checkpoint in `checkpoints`, if there is one.
    watch
        Called after each epoch of a fit with validation, with the epoch and NDCG@100; it may
        raise to end the fit.
    grams
        Where item-item models keep the last Gram matrix, for the next fit on the same data.
    """

    seed: int = 98765
    device: str = "auto"
    checkpoints: Path | None = None
    resume: bool = False
    watch: Callable[[int, float], None] | None = None
    grams: Grams | None = None


@dataclass(frozen=True, eq=False)
class Factored:
    """Scores as h(x) Wᵀ + b: what a model makes of histories, times a vector of each item.

    Attributes
    ----------
    encode
        h: histories to float32 (b, width).
    weights, bias
        W, float32 (n_items, width), and b, (n_items,).
    """

    encode: Callable[[Histories], FloatArray]
    weights: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class Embedding:
    """Latents of histories: what a model makes of each before it scores.

    Attributes
    ----------
    mean
        float32 (b, width).
    variance
        float32 (b, width), of the models whose latents are distributions; None for the others.
    """

    mean: FloatArray
    variance: FloatArray | None = None


@dataclass(frozen=True)
class NoSettings:
    """The config of a model that has nothing to set."""


ConfigT = TypeVar("ConfigT")


class Model(ABC, Generic[ConfigT]):
    """Fitted on a sparse matrix; scores any batch of histories, known users and new ones alike.

    A subclass states `name` and `config_type` and implements `_fit`, `_score`, `tensors` and
    `_restore`; checks live here. Scoring never changes a model.

    Parameters
    ----------
    config
        The model's settings, a frozen dataclass; its defaults where None.
    """

    name: ClassVar[str]
    config_type: ClassVar[type[Any]] = NoSettings
    needs_times: ClassVar[bool] = False
    ignores_itself: ClassVar[bool] = False  # an entry adds nothing to its own item's score
    has_latents: ClassVar[bool] = False  # scores go through a vector of each history and item

    def __init__(self, config: ConfigT | None = None) -> None:
        self.config: ConfigT = self.config_type() if config is None else config
        self._n_items: int | None = None

    @property
    def n_items(self) -> int:
        """Size of the catalogue it was fitted on.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        if self._n_items is None:
            raise NotFittedError(f"{self.name} is not fitted yet; call fit first")
        return self._n_items

    def check_fitted(self) -> None:
        """Raise NotFittedError before `fit`; `tensors` starts with it."""
        _ = self.n_items

    def fit(
        self,
        train: Histories,
        *,
        validation: HeldOut | None = None,
        options: RunOptions | None = None,
    ) -> Self:
        """Learn from `train`; whatever was learnt before is forgotten.

        Parameters
        ----------
        train
            (n_users, n_items) histories.
        validation
            Users on whom to choose what the config leaves open (epochs, blend weights). Without
            it the config decides alone.
        options
            Seed, device, checkpoints.

        Raises
        ------
        DataError
            No user, no item, no entry, or no times where the model needs them.
        """
        if train.matrix.nnz == 0:
            raise DataError("no interactions to train on")
        if self.needs_times and train.times is None:
            raise DataError(f"{self.name} needs the time of each interaction")
        if validation is not None and validation.given.n_items != train.n_items:
            raise DataError("validation and training histories have different catalogues")
        self._n_items = None
        self._fit(train, validation, options or RunOptions())
        self._n_items = train.n_items
        return self

    def score(self, histories: Histories) -> FloatArray:
        """Return how well each item fits each history: float32 (b, n_items), all finite.

        Items already in a history are scored like any other; leaving them out is the caller's
        business. Higher is better; scores of different rows need not be comparable.

        Raises
        ------
        NotFittedError
            Before `fit`.
        DataError
            The histories have another catalogue size than the training had.
        """
        self._check(histories)
        return np.ascontiguousarray(self._score(histories), dtype=np.float32)

    def embed(self, histories: Histories) -> Embedding:
        """Return the latents of histories.

        Raises
        ------
        UsageError
            The model has none: its scores do not go through a vector of each history.
        NotFittedError, DataError
            As for `score`.
        """
        self.check_latents()
        self._check(histories)
        return self._embed(histories)

    def embed_items(self) -> FloatArray:
        """Return a vector of each item, float32 (n_items, width), by which scores are made.

        The rows of what turns latents, or the last layer before the scores, into scores; their
        width need not be that of the latents.

        Raises
        ------
        UsageError
            The model has none.
        NotFittedError
            Before `fit`.
        """
        self.check_latents()
        self.check_fitted()
        return self._item_vectors()

    def _check(self, histories: Histories) -> None:
        if histories.n_items != self.n_items:
            raise DataError(
                f"histories of {histories.n_items} items for a model of {self.n_items} items"
            )
        if self.needs_times and histories.times is None:
            raise DataError(f"{self.name} needs the time of each interaction")

    def check_latents(self) -> None:
        """Raise UsageError for a model that has no latents, fitted or not."""
        if not self.has_latents:
            raise UsageError(
                f"{self.name} has no latents: its scores do not go through a vector of each "
                "history; take a model that has them, such as recvae, elsa, als or pure-svd"
            )

    def _embed(self, histories: Histories) -> Embedding:
        raise NotImplementedError

    def _item_vectors(self) -> FloatArray:
        raise NotImplementedError

    @property
    def chosen(self) -> ConfigT:
        """The config with what validation chose written in: what a refit on all data uses."""
        return self.config

    @classmethod
    def chooses(cls, config: ConfigT) -> bool:  # noqa: ARG003
        """Whether a fit with this config has something to choose on validation users."""
        return False

    @classmethod
    def needs_validation(cls, config: ConfigT) -> bool:
        """Whether what it has to choose must not be left at a guess where nobody is held out."""
        return cls.chooses(config)

    @classmethod
    def searched(cls, config: ConfigT) -> dict[str, Search]:  # noqa: ARG003
        """Return where to look for the best value of each setting, by dotted name."""
        return searchable(cls.config_type)

    @classmethod
    def restore(cls, config: ConfigT, n_items: int, tensors: Tensors) -> Self:
        """Return the fitted model that `tensors()` described; the arrays may be memory-mapped."""
        model = cls(config)
        model._restore(n_items, tensors)
        model._n_items = n_items
        return model

    def factored(self) -> Factored | None:
        """Return what the scores are a product of; None where they are no such product."""
        return None

    def scores_on(self, device: str) -> Callable[[Histories], Any] | None:  # noqa: ARG002
        """Return what scores histories on a device, to torch's float32 (b, n_items) there.

        None where a model has no network; `device` is as in `RunOptions`.
        """
        return None

    @abstractmethod
    def tensors(self) -> Tensors:
        """Return everything learnt as named arrays, at least one."""

    @abstractmethod
    def _fit(self, train: Histories, validation: HeldOut | None, options: RunOptions) -> None: ...

    @abstractmethod
    def _score(self, histories: Histories) -> FloatArray: ...

    @abstractmethod
    def _restore(self, n_items: int, tensors: Tensors) -> None: ...
