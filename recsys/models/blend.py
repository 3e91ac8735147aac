"""A weighted sum of other models' scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from math import comb
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from recsys.errors import SettingsError
from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model
from recsys.progress import progress
from recsys.settings import Search
from recsys.training.validation import found

logger = logging.getLogger(__name__)

Doubles = npt.NDArray[np.float64]

_SCORES_AT_ONCE = 2**22  # validation scores of all members, 16 MiB
_MOST_TRIED = 100
_PARTS = (20, 12, 10, 8, 6, 5, 4, 3, 2, 1)
_EQUAL = 1e-6  # scores of a row that deviate by no more than this part of the largest are equal


@dataclass(frozen=True)
class BlendConfig:
    """Settings of `Blend`.

    Attributes
    ----------
    members
        Names of the models to blend, each once.
    settings
        A table of settings for each member that should not have its defaults.
    shares
        Weight of each member, in their order; only their proportions matter. None chooses them on
        validation users, and without those takes all alike.
    """

    members: Annotated[tuple[str, ...], Field(min_length=1)] = ("dan-edlae", "pooled-edlae")
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    shares: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None


class Blend(Model[BlendConfig]):
    """Several models' scores, made comparable and added.

    With s_m a member's scores of one history, μ and σ their mean and deviation over the items,

        scores = Σ_m w_m (s_m − μ(s_m)) / σ(s_m),  w ≥ 0, Σ w = 1

    The w of highest NDCG@100 on validation users is taken from an even grid over all such w. A
    member that cannot tell items apart for a history (σ = 0) adds nothing there.

    Raises
    ------
    SettingsError
        Members, settings and shares do not fit each other.
    UsageError
        No such member, or a setting that it does not have or cannot take.
    """

    name = "blend"
    config_type = BlendConfig

    def __init__(self, config: BlendConfig | None = None) -> None:
        config = config or BlendConfig()
        _check(config)
        self._members = _members(config)
        settings = {member.name: asdict(member.config) for member in self._members}
        super().__init__(replace(config, settings=settings))  # defaults too: it says all it does
        self._shares = _known_shares(self.config)

    @property
    def chosen(self) -> BlendConfig:
        """The config with the shares and whatever the members chose for themselves."""
        if self._n_items is None:
            return self.config
        settings = {member.name: asdict(member.chosen) for member in self._members}
        return replace(self.config, settings=settings, shares=tuple(self._shares.tolist()))

    @classmethod
    def chooses(cls, config: BlendConfig) -> bool:
        """Return whether the shares, or settings of a member, are to be chosen."""
        return config.shares is None or any(
            member.chooses(member.config) for member in _members(config)
        )

    @classmethod
    def needs_validation(cls, config: BlendConfig) -> bool:
        """Return whether a member does; equal shares are a fair guess."""
        return any(member.needs_validation(member.config) for member in _members(config))

    @classmethod
    def searched(cls, config: BlendConfig) -> dict[str, Search]:
        """Return the members' own, as `settings.MEMBER.FIELD`."""
        return {
            f"settings.{member.name}.{field}": search
            for member in _members(config)
            for field, search in member.searched(member.config).items()
        }

    def tensors(self) -> Tensors:
        """Return the shares, float64 (n_members,), and each member's arrays as MEMBER.ARRAY."""
        self.check_fitted()
        named = {
            f"{member.name}.{name}": array
            for member in self._members
            for name, array in member.tensors().items()
        }
        return {"shares": self._shares, **named}

    def _fit(self, train: Histories, validation: HeldOut | None, options: RunOptions) -> None:
        self._members = _members(self.config)
        self._shares = _known_shares(self.config)
        for member in self._members:
            beneath = replace(options, watch=None)  # a member's metric is not the blend's
            if options.checkpoints is not None:
                beneath = replace(beneath, checkpoints=options.checkpoints / member.name)
            member.fit(train, validation=validation, options=beneath)
        if self.config.shares is None and validation is not None:
            if validation.target.matrix.nnz:
                self._shares = _best_shares(self._members, validation)
            else:
                logger.warning("no validation user has anything to find: equal shares")

    def _score(self, histories: Histories) -> FloatArray:
        total = np.zeros((len(histories), self.n_items), np.float32)
        for member, share in zip(self._members, self._shares, strict=True):
            if share > 0:
                total += np.float32(share) * _standardised(member.score(histories))
        return total

    def _restore(self, n_items: int, tensors: Tensors) -> None:
        self._shares = np.array(tensors["shares"])
        self._members = [
            type(member).restore(member.config, n_items, _beginning(f"{member.name}.", tensors))
            for member in self._members
        ]


def _check(config: BlendConfig) -> None:
    members, shares = config.members, config.shares
    for name in members:
        if members.count(name) > 1:
            raise SettingsError(f"blend: members has {name} twice")
    for name in config.settings:
        if name not in members:
            raise SettingsError(f"blend: settings has a table {name}, which is not among members")
    if shares is not None and (len(shares) != len(members) or sum(shares) == 0):
        raise SettingsError(
            f"blend: shares = {list(shares)}: give {len(members)} numbers, one for each of "
            f"{', '.join(members)}, not all 0"
        )


def _members(config: BlendConfig) -> list[Model[Any]]:
    return [make_model(name, config.settings.get(name)) for name in config.members]


def _known_shares(config: BlendConfig) -> Doubles:
    """Return (n_members,), summing to 1: what the config says, else all alike."""
    shares: Doubles = np.array(config.shares or np.ones(len(config.members)), np.float64)
    shares /= shares.sum()
    return shares


def _beginning(prefix: str, tensors: Tensors) -> Tensors:
    """Return the arrays whose names begin so, without that beginning."""
    return {
        name.removeprefix(prefix): array
        for name, array in tensors.items()
        if name.startswith(prefix)
    }


def _standardised(scores: FloatArray) -> FloatArray:
    """Bring each row, in place, to mean 0 and deviation 1; one of equal scores to 0."""
    largest = np.abs(scores).max(axis=1, keepdims=True)
    scores -= scores.mean(axis=1, keepdims=True, dtype=np.float64)
    deviation = scores.std(axis=1, keepdims=True, dtype=np.float64)
    equal = deviation <= _EQUAL * largest
    scores *= np.where(equal, 0, 1 / np.where(equal, 1, deviation))
    return scores


def _best_shares(members: Sequence[Model[Any]], validation: HeldOut) -> Doubles:
    """Return the shares, (n_members,), of highest NDCG@100; of equally good ones the most even.

    The members score a batch of users once for all that is tried, so that memory does not grow
    with the number of users.
    """
    tried = _grid(len(members))
    total = np.zeros(len(tried))
    batch = max(1, _SCORES_AT_ONCE // (len(members) * validation.given.n_items))
    with progress("blending", len(validation)) as bar:
        for _, users in validation.batches(batch):
            scores = np.stack([_standardised(member.score(users.given)) for member in members])
            for index, shares in enumerate(tried.astype(np.float32)):
                blended = np.tensordot(shares, scores, 1)  # (b, n_items)
                total[index] += np.nansum(found(blended, users))
            bar.advance(len(users))
    best: Doubles = tried[total.argmax()]
    return best


def _grid(n_members: int) -> Doubles:
    """Return (n_tried, n_members), most even first: rows of steps of 1 / parts that sum to 1."""
    gaps = n_members - 1
    parts = next(n for n in _PARTS if comb(n + gaps, gaps) <= _MOST_TRIED)
    # a row is parts in a line with a bar in each of the gaps between members
    bars = np.array(list(combinations(range(parts + gaps), gaps)), np.int64)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, parts + gaps)))
    grid: Doubles = (np.diff(edges, axis=1) - 1) / parts
    return grid[np.argsort(np.square(grid).sum(axis=1), kind="stable")]
