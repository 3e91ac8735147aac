"""Fitting: chosen on validation, then learnt from everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.evaluation.fitting import fit_chosen, fit_with_curves
from recsys.interactions.dataset import Dataset
from recsys.interactions.splits import training_split
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.registry import make_model
from recsys.training.validation import validate

SMALL = {"hidden": (8,), "epochs": 6, "patience": 2, "batch_size": 32, "learning_rate": 0.05}


def test_a_model_with_nothing_to_choose_learns_once_from_everything(shop: Dataset) -> None:
    training = training_split(shop.interactions, seed=1)
    weighting = Weighting(half_life_days=20, train_half_life_days=10)
    model = fit_chosen("ease", {"l2": 3.0}, weighting, training, RunOptions())
    histories = weighting.histories(training.full, training.full_at)
    alone = make_model("ease", {"l2": 3.0}).fit(weighting.training(training.full, training.full_at))
    np.testing.assert_array_equal(model.score(histories), alone.score(histories))


def test_what_validation_chose_is_fixed_in_the_final_fit(shop: Dataset, tmp_path: Path) -> None:
    training = training_split(shop.interactions, seed=1)
    options = RunOptions(seed=3, device="cpu", checkpoints=tmp_path)
    fit = fit_with_curves("mult-dae", SMALL, Weighting(), training, options)
    choosing = [point["ndcg@100"] for point in fit.curves["choosing"]]
    assert fit.model.config.epochs == 1 + int(np.argmax(choosing))
    assert fit.validation == max(choosing)
    assert len(fit.curves["final"]) == fit.model.config.epochs
    histories = Weighting().histories(training.full, training.full_at)
    settings = {**SMALL, "epochs": fit.model.config.epochs}
    alone = make_model("mult-dae", settings).fit(
        histories, options=RunOptions(seed=3, device="cpu")
    )
    np.testing.assert_allclose(fit.model.score(histories), alone.score(histories), rtol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"choosing", "final"}


def test_what_chose_says_how_good_it_was(shop: Dataset) -> None:
    training = training_split(shop.interactions, seed=1)
    settings = {"members": ("ease", "item-knn")}
    fit = fit_with_curves("blend", settings, Weighting(), training, RunOptions())
    held_out = training.validation.held_out(Weighting())
    settings["shares"] = fit.model.config.shares
    train = Weighting().training(training.train, training.train_at)
    chosen = make_model("blend", settings).fit(train)
    assert fit.validation == pytest.approx(validate(chosen, held_out))
    assert fit_with_curves("ease", {}, Weighting(), training, RunOptions()).validation is None


def test_without_validation_users_only_what_needs_them_fails(shop: Dataset) -> None:
    training = training_split(shop.interactions, seed=1)
    nobody = training.validation
    empty = np.zeros(0, np.int32)
    nobody = replace(
        nobody, users=empty, given=nobody.given.rows(empty), target=nobody.target.rows(empty)
    )
    training = replace(training, validation=nobody)
    fit_chosen("popularity", {}, Weighting(), training, RunOptions())
    blend = fit_chosen("blend", {}, Weighting(), training, RunOptions())
    assert blend.chosen.shares == (0.5, 0.5)
    with pytest.raises(DataError, match="blend chooses"):
        fit_chosen("blend", {"members": ("mult-dae",)}, Weighting(), training, RunOptions())
    with pytest.raises(DataError, match="mult-dae chooses settings on validation users"):
        fit_chosen("mult-dae", SMALL, Weighting(), training, RunOptions())
