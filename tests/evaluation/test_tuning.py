"""Tuning: every trial counts, a study goes on, and what was fixed stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from recsys.errors import TrainingError
from recsys.evaluation.entries import entries
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.tuning import Effort, Found, Tuner
from recsys.interactions.dataset import Dataset
from recsys.models.base import RunOptions
from recsys.models.registry import make_model
from recsys.training.validation import found

Tune = Callable[..., Found]

WEIGHTS = ("half_life_days", "train_half_life_days", "per_day_bought", "value", "baskets")
PLAIN = {f"weights.{name}": None for name in WEIGHTS}
"""Fixes all weights."""


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def tune(shop: Dataset, tmp_path: Path, lines: list[str]) -> Tune:
    def tune(
        model: str,
        trials: int = 3,
        *,
        settings: Any = None,
        fixed: Any = PLAIN,
        seconds: float = 60,
        starts: Any = (),
        identity: Any = None,
        protocol: Protocol | None = None,
    ) -> Found:
        tuner = Tuner(
            (protocol or Protocol(test_users=40)).trainings(shop, 1),
            study=tmp_path / "studies" / "study.sqlite",
            identity=identity or {"data": "shop"},
            effort=Effort(trials, seconds),
            options=RunOptions(seed=2, device="cpu"),
            tell=lines.append,
        )
        (entry,) = entries([model], shop, settings={model: settings or {}})
        return tuner.tune(entry, fixed, starts)

    return tune


def test_the_value_is_that_of_the_settings_on_validation_users(tune: Tune, shop: Dataset) -> None:
    best = tune("ease", 6)
    (training,) = Protocol(test_users=40).trainings(shop, 1)
    held_out = training.validation.held_out(shop.weighting)
    settings = {name: value for name, value in best.settings.items() if name != "weights"}
    model = make_model("ease", settings)
    model.fit(shop.weighting.training(training.train, training.train_at))
    value = np.nanmean(found(model.score(held_out.given), held_out))
    assert best.value == pytest.approx(value)
    assert (best.trials, best.pruned, best.failed) == (6, 0, 0)
    assert best.default is not None
    assert best.default <= best.value


def test_a_study_goes_on_where_it_stopped(tune: Tune, lines: list[str]) -> None:
    first = tune("ease", 2)
    assert len(lines) == 2
    assert tune("ease", 2) == first  # nothing left to do
    assert len(lines) == 2
    more = tune("ease", 5)
    assert [line.split(":")[0] for line in lines[2:]] == ["ease 3/5", "ease 4/5", "ease 5/5"]
    assert more.value >= first.value
    tune("ease", 2, identity={"data": "another shop"})
    assert len(lines) == 7


def test_the_first_trial_has_the_settings_one_starts_from(tune: Tune) -> None:
    assert tune("ease", 1, settings={"l2": 77.0}).settings["l2"] == 77.0


def test_what_is_fixed_is_not_searched(tune: Tune) -> None:
    best = tune("dan-edlae", 6, settings={"l2": 9.0, "beta": 0.0}, fixed={"l2": 9.0, "beta": 0.0})
    assert (best.settings["l2"], best.settings["beta"]) == (9.0, 0.0)
    assert "dropout" in best.settings
    assert "value" not in {k for k, v in best.settings["weights"].items() if v}  # the data has none


def test_a_model_without_anything_to_search_is_tried_once(tune: Tune) -> None:
    assert tune("popularity", 5, fixed={**PLAIN, "half_life_days": None}).trials == 1


def test_a_blend_starts_from_what_was_found_for_its_members(tune: Tune) -> None:
    member = {"l2": 33.0, "dropout": 0.1, "alpha": 0.0, "beta": 0.0, "target_half_life_days": None}
    start = {"settings": {"dan-edlae": member, "pooled-edlae": {**member, "power": 9.0}}}
    best = tune("blend", 2, starts=[start])
    assert best.settings["settings"]["dan-edlae"]["l2"] in {20.0, 33.0}  # the default, or the start
    assert best.settings["settings"]["pooled-edlae"]["power"] in {3.0, 6.0}  # the edge, for 9


def test_settings_count_by_their_mean_over_the_cuts(tune: Tune, shop: Dataset) -> None:
    from datetime import date

    cuts = (date(2020, 4, 1), date(2020, 5, 15))
    both = tune("popularity", 1, protocol=Protocol("temporal", cuts=cuts, horizon_days=40))
    alone = [
        tune(
            "popularity",
            1,
            protocol=Protocol("temporal", cuts=(cut,), horizon_days=40),
            identity={"cut": str(cut)},
        ).value
        for cut in cuts
    ]
    assert alone[0] != alone[1]
    assert both.value == pytest.approx(np.mean(alone))


SMALL = {"hidden": (8,), "batch_size": 20, "averaging": 0.0}


def test_a_trial_that_takes_too_long_ends_with_its_best_epoch(tune: Tune) -> None:
    endless = {**SMALL, "epochs": 10**6, "patience": 10**6}
    fixed = {**PLAIN, **endless}
    make_model("mult-dae")  # torch is imported before the time runs
    best = tune("mult-dae", 1, settings=endless, fixed=fixed, seconds=4.0)
    assert 0 < best.value < 1
    assert 3.9 < best.seconds < 30


def test_a_trial_does_not_end_within_a_transaction_of_its_study(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    report = optuna.Trial.report

    def slow(trial: optuna.Trial, value: float, step: int) -> None:
        written.append(False)
        time.sleep(1.0)
        report(trial, value, step)
        written[-1] = True

    monkeypatch.setattr(optuna.Trial, "report", slow)
    endless = {**SMALL, "epochs": 10**6, "patience": 10**6}
    make_model("mult-dae")
    tune("mult-dae", 1, settings=endless, fixed={**PLAIN, **endless}, seconds=2.5)
    assert written
    assert all(written)


def test_a_trial_without_an_epoch_in_time_fails(tune: Tune) -> None:
    with pytest.raises(TrainingError, match="no trial succeeded; the last one: given up, or not"):
        tune("mult-dae", 2, settings=SMALL, seconds=1e-5)


def test_a_hopeless_trial_is_given_up_early(tune: Tune) -> None:
    rates = (5e-3, 6e-3, 7e-3, 8e-3, 3e-4)
    settings = {**SMALL, "epochs": 40, "patience": 40, "dropout": 0.5}
    starts = [{**settings, "learning_rate": rate} for rate in rates]
    best = tune("mult-dae", 6, settings=settings, starts=starts, fixed={**PLAIN, **settings})
    assert (best.trials, best.failed) == (6, 0)
    assert 1 <= best.pruned <= 2
    assert best.settings["learning_rate"] >= 2e-3


def test_a_trial_that_fails_is_counted_and_the_others_go_on(tune: Tune) -> None:
    settings = {**SMALL, "epochs": 2}
    fixed = {**PLAIN, "dropout": 0.5}
    diverging = {**settings, "dropout": 0.5, "learning_rate": 3e-3}
    best = tune("mult-dae", 2, settings=settings, fixed=fixed, starts=[diverging])
    assert best.failed == 0
    fixed = {**fixed, "learning_rate": 1e38}
    with pytest.raises(TrainingError, match="the last one: the loss of epoch"):
        tune("mult-dae", 2, settings={**settings, "learning_rate": 1e38}, fixed=fixed)
