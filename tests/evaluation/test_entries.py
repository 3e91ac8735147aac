"""What is compared: settings from four places, and errors that name the flag."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recsys.errors import UsageError
from recsys.evaluation.entries import entries
from recsys.interactions.dataset import Dataset
from recsys.interactions.weighting import Weighting


def test_later_layers_win(shop: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("l2 = 5\n[weights]\nhalf_life_days = 30\n")
    dataset = replace(shop, weighting=Weighting(per_day_bought=0.3))
    plain, own, other = entries(
        ["ease", f"ease:{file}", "popularity"],
        dataset,
        overrides=["ease.weights.half_life_days=60", "popularity.half_life_days=9"],
    )
    assert plain.settings == {}
    assert (own.label, own.name, own.settings) == (f"ease:{file}", "ease", {"l2": 5})
    assert plain.weighting == own.weighting == Weighting(60, per_day_bought=0.3)
    assert other.weighting == dataset.weighting
    assert other.described()["half_life_days"] == 9
    assert own.described()["weights"]["half_life_days"] == 60


@pytest.mark.parametrize(
    ("models", "overrides", "message"),
    [
        ([], [], "--models: name at least one"),
        (["eaze"], [], "unknown model 'eaze'"),
        (["ease", "ease"], [], "ease is named twice"),
        (["ease"], ["als.factors=3"], r"--set als\.factors: als is not among --models"),
        (["ease"], ["ease.l2"], "write MODEL.FIELD=VALUE"),
        (["ease"], ["l2=3"], "write MODEL.FIELD=VALUE"),
        (["ease"], ["ease.l3=3"], "unknown setting 'l3'"),
        (["ease"], ["ease.l2=-3"], "l2 = -3"),
        (["ease"], ["ease.l2=abc"], "l2 = 'abc'"),
        (["ease"], ["ease.weights=3"], r"weights = 3 must be a table"),
        (["ease"], ["ease.weights.half_life_days=0"], "ease weights: half_life_days = 0"),
        (["ease:/nowhere.toml"], [], "/nowhere.toml"),
    ],
)
def test_what_cannot_be_meant(
    shop: Dataset, models: list[str], overrides: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        entries(models, shop, overrides=overrides)


def test_a_file_may_have_the_tables_of_several_models(shop: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "several.toml"
    file.write_text("[ease]\nl2 = 7\n[ease.weights]\nbaskets = 0.5\n[als]\nfactors = 8\n")
    (ease,) = entries([f"ease:{file}"], shop)
    assert (ease.settings, ease.weighting) == ({"l2": 7}, Weighting(baskets=0.5))


def test_settings_from_a_file_say_all_of_the_weights(shop: Dataset) -> None:
    dataset = replace(shop, weighting=Weighting(60))
    ease, als = entries(["ease", "als"], dataset, settings={"ease": {"l2": 7}})
    assert (ease.weighting, als.weighting) == (Weighting(), Weighting(60))
    (ease,) = entries(
        ["ease"],
        dataset,
        settings={"ease": {"weights": {"value": 0.5}}},
        overrides=["ease.weights.baskets=2"],
    )
    assert ease.weighting == Weighting(value=0.5, baskets=2)


def test_tables_in_tables_are_merged(shop: Dataset) -> None:
    tuned = {"blend": {"settings": {"dan-edlae": {"l2": 7.0, "alpha": 0.1}}}}
    changes = ["blend.settings.dan-edlae.l2=9", "blend.settings.pooled-edlae.power=2"]
    (blend,) = entries(["blend"], shop, settings=tuned, overrides=changes)
    members = blend.described()["settings"]
    assert (members["dan-edlae"]["l2"], members["dan-edlae"]["alpha"]) == (9, 0.1)
    assert members["pooled-edlae"]["power"] == 2


def test_a_file_stands_in_the_place_of_tuned_settings(shop: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("l2 = 7\n")
    tuned = {"ease": {"target_half_life_days": 9.0, "weights": {"value": 1.0}}}
    tuned_one, own = entries(["ease", f"ease:{file}"], shop, settings=tuned)
    assert (tuned_one.settings, tuned_one.weighting.value) == ({"target_half_life_days": 9.0}, 1)
    assert (own.settings, own.weighting) == ({"l2": 7}, Weighting())
