"""What is compared: settings from four places, and errors that name the flag."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recsys.errors import RecsysError, UsageError
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


def test_tuned_settings_are_found_by_name_or_fingerprint(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecsysError, match="'small-shop'; `recsys tune` makes them"):
        entries(["ease"], shop, tuned=True)
    monkeypatch.setattr("recsys.evaluation.entries.TUNED", tmp_path)
    for name in (shop.name, shop.fingerprint):
        file = tmp_path / f"{name}.toml"
        file.write_text("[ease]\nl2 = 7\n[ease.weights]\nper_day_bought = 0.5\n")
        ease, popularity = entries(["ease", "popularity"], shop, tuned=True)
        assert ease.settings == {"l2": 7}
        assert ease.weighting == Weighting(per_day_bought=0.5)
        assert popularity.settings == {}
        file.unlink()
