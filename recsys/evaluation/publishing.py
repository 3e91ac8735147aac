"""Training on all of a data set and publishing what was learnt, so that it can be done again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.artifacts import Manifest, publish
from recsys.artifacts.artifact import as_settings
from recsys.errors import ArtifactError
from recsys.evaluation.entries import Entry
from recsys.evaluation.fitting import Fit, beneath, fit_with_curves
from recsys.evaluation.protocols import Kind, Protocol
from recsys.interactions.dataset import Dataset
from recsys.interactions.parts import Training
from recsys.interactions.spec import DatasetSpec
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.registry import make_model
from recsys.recommender.calibration import Calibration, calibrate, shares_of
from recsys.settings import validated


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes
    ----------
    source
        Where its data comes from, a password left out; None is the store of live events.
    spec
        How that is read.
    entry
        The model with the settings that were asked for.
    protocol
        What it should be good at.
    seed
        Seeds all that is random.
    """

    source: str | None
    spec: DatasetSpec
    entry: Entry
    protocol: Kind
    seed: int

    def described(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        return {
            "source": self.source,
            "dataset": as_settings(self.spec),
            "settings": as_settings(make_model(self.entry.name, self.entry.settings).config),
            "weights": as_settings(self.entry.weighting),
            "protocol": self.protocol,
            "seed": self.seed,
        }

    @classmethod
    def of(cls, manifest: Manifest) -> Recipe:
        """Return how a published model was trained.

        Raises
        ------
        ArtifactError
            It does not say, being of an older version.
        """
        said: Mapping[str, Any] = manifest.training
        if not said:
            raise ArtifactError(
                f"{manifest.version}: was published without saying how to train it again; "
                "run `recsys train` once"
            )
        where = f"{manifest.version}: training"
        weighting = validated(Weighting, said["weights"], where)
        return cls(
            said["source"],
            DatasetSpec.of(said["dataset"], where),
            Entry(manifest.model, manifest.model, said["settings"], weighting),
            said["protocol"],
            said["seed"],
        )


@dataclass(frozen=True, eq=False)
class Published:
    """What came of a training: the version's name, the fit, its metrics, and how long it took."""

    version: str
    fit: Fit
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True, eq=False)
class Trained:
    """A fit, and how its lists foretell what users take; None where too few could be held out."""

    fit: Fit
    calibration: Calibration | None


def trained(dataset: Dataset, recipe: Recipe, options: RunOptions) -> Trained:
    """Train on all of a data set; one with something to choose chooses on a part first."""
    training = Protocol(recipe.protocol).training(dataset, recipe.seed)
    entry = recipe.entry
    fit = fit_with_curves(entry.name, entry.settings, entry.weighting, training, options)
    return Trained(fit, _calibration(training, entry, fit, options))


def _calibration(
    training: Training, entry: Entry, fit: Fit, options: RunOptions
) -> Calibration | None:
    """Calibrate on the validation users, with a model that has not learnt from them."""
    held_out = training.validation.held_out(entry.weighting)
    if not held_out.target.matrix.nnz or not training.train.n_events:
        return None
    model = fit.chose
    if model is None:
        model = make_model(entry.name, entry.settings).fit(
            entry.weighting.training(training.train, training.train_at),
            options=beneath(options, "calibrating"),
        )
    return calibrate(model, held_out, shares_of(Weighting().histories(training.train)))


def train_and_publish(
    models: Path, dataset: Dataset, recipe: Recipe, options: RunOptions
) -> Published:
    """Train on all of a data set, and make what was learnt the current model in `models`."""
    started = time.perf_counter()
    done = trained(dataset, recipe, options)
    fit = done.fit
    seconds = time.perf_counter() - started
    metrics = {} if fit.validation is None else {"validation ndcg@100": fit.validation}
    version = publish(
        models,
        fit.model,
        dataset,
        weighting=recipe.entry.weighting,
        metrics=metrics,
        training=recipe.described(),
        calibration=done.calibration.described() if done.calibration else None,
    )
    return Published(version, fit, metrics, seconds)
