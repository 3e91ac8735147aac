"""Fitting as every command does it: choose on validation users, then learn from everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recsys.errors import DataError
from recsys.interactions.parts import Training
from recsys.interactions.tables import HeldOut
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
    validation
        NDCG@100 that the model which chose had on the users on whom it did; None where nothing
        was chosen.
    chose
        The model that chose, which has not learnt from those users; None where nothing was chosen.
    """

    model: Model[Any]
    curves: dict[str, Curve]
    validation: float | None = None
    chose: Model[Any] | None = None


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
        There is something that must be chosen and no validation user to choose on, or nothing to
        train on.
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
    model, curves, reached, chose = make_model(name, settings), {}, None, None
    spared = len(training.validation.users) > 0
    if not spared and model.needs_validation(model.config):
        raise DataError(
            f"{name} chooses settings on validation users, and the data leaves none; it needs "
            "users with 5 items or more, and for a cut in time a horizon of events before it"
        )
    if spared and model.chooses(model.config):
        validation = training.validation.held_out(weighting)
        model.fit(
            weighting.training(training.train, training.train_at),
            validation=validation,
            options=beneath(options, "choosing"),
        )
        curves["choosing"] = _curve(model)
        reached = _reached(model, curves["choosing"], validation)
        chose, model = model, type(model)(model.chosen)
        options = beneath(options, "final")
    model.fit(weighting.training(training.full, training.full_at), options=options)
    curves["final"] = _curve(model)
    return Fit(model, {stage: curve for stage, curve in curves.items() if curve}, reached, chose)


def beneath(options: RunOptions, stage: str) -> RunOptions:
    """Give one of several fits a checkpoint folder of its own."""
    if options.checkpoints is None:
        return options
    return replace(options, checkpoints=options.checkpoints / stage)


def _curve(model: Model[Any]) -> Curve:
    """Return what a model that trains in epochs kept of them; other models have none."""
    return list(getattr(model, "curve", []))


def _reached(model: Model[Any], curve: Curve, validation: HeldOut) -> float | None:
    """Return the metric on validation users: the best of the curve, of a model that keeps one."""
    from recsys.training.validation import METRIC, validate

    if known := [point[METRIC] for point in curve if METRIC in point]:
        return float(max(known))
    return validate(model, validation) if validation.target.matrix.nnz else None
