"""Fitting as every command does it: choose on validation users, then learn from everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recsys.errors import DataError
from recsys.interactions.splits import Training
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model

Curve = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model and how its training went.

    Attributes
    ----------
    model
        The final model; its config holds what validation chose.
    curves
        Training curves: `choosing` (with the metric on validation users) and `final`, those of
        the two that the model keeps.
    """

    model: Model[Any]
    curves: dict[str, Curve]


def fit_chosen(
    name: str,
    settings: Mapping[str, Any],
    weighting: Weighting,
    training: Training,
    options: RunOptions,
) -> Model[Any]:
    """Return the model fitted on all of `training`, with what is open chosen on its validation.

    A model with something to choose is fitted on train, chooses, and is fitted once more on train
    and validation together with that fixed; one with nothing to choose is fitted once, on all.

    Raises
    ------
    UsageError
        No such model or setting.
    DataError
        There is something to choose and no validation user to choose on, or nothing to train on.
    """
    return fit_with_curves(name, settings, weighting, training, options).model


def fit_with_curves(
    name: str,
    settings: Mapping[str, Any],
    weighting: Weighting,
    training: Training,
    options: RunOptions,
) -> Fit:
    """Do what `fit_chosen` does, and return the training curves too."""
    model, curves = make_model(name, settings), {}
    if model.chooses(model.config):
        if not len(training.validation.users):
            raise DataError(
                f"{name} chooses settings on validation users, and the data leaves none; it needs "
                "users with 5 items or more, and for a cut in time a horizon of events before it"
            )
        model.fit(
            weighting.training(training.train, training.train_at),
            validation=training.validation.held_out(weighting),
            options=_beneath(options, "choosing"),
        )
        curves["choosing"] = _curve(model)
        model = type(model)(model.chosen)
        options = _beneath(options, "final")
    model.fit(weighting.training(training.full, training.full_at), options=options)
    curves["final"] = _curve(model)
    return Fit(model, {stage: curve for stage, curve in curves.items() if curve})


def _beneath(options: RunOptions, stage: str) -> RunOptions:
    """Give each of the two fits a checkpoint folder of its own."""
    if options.checkpoints is None:
        return options
    return replace(options, checkpoints=options.checkpoints / stage)


def _curve(model: Model[Any]) -> Curve:
    """Return what a model that trains in epochs kept of them; other models have none."""
    return list(getattr(model, "curve", []))
