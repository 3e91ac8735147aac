from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts import load_current, publish
from recsys.interactions.dataset import load_dataset
from recsys.models.registry import make_model


@pytest.fixture
def models(tmp_path: Path, shop: Path) -> Path:
    """A folder with two versions, the second with a metric."""
    dataset = load_dataset(shop)
    model = make_model("popularity").fit(dataset.weighting.histories(dataset.interactions))
    publish(tmp_path, model, dataset)
    publish(tmp_path, model, dataset, metrics={"ndcg@100": 0.25})
    return tmp_path


def test_the_list_says_what_each_version_is_and_which_is_served(run: Any, models: Path) -> None:
    listed = json.loads(run("models", "list", "--models", models, "--json").out)["versions"]
    assert [info["current"] for info in listed] == [True, False]
    assert [info["metrics"] for info in listed] == [{"ndcg@100": 0.25}, {}]
    assert listed[0]["model"] == "popularity"
    assert listed[0]["data"]["name"] == "corner-shop"
    lines = run("models", "list", "--models", models).out.splitlines()
    (served,) = [line for line in lines if line.strip().startswith("*")]
    for shown in (listed[0]["version"], "popularity", "corner-shop: 60 users, 25 items", "0.2500"):
        assert shown in served
    assert any(listed[1]["version"] in line for line in lines)


def test_roll_back_goes_one_back_or_to_the_version_named(run: Any, models: Path) -> None:
    newest = load_current(models).manifest.version
    ended = run("models", "roll-back", "--models", models)
    older = load_current(models).manifest.version
    assert (ended.code, ended.out) == (0, f"current is now {older}\n")
    assert older < newest
    assert run("models", "roll-back", "--models", models).code == 2
    assert run("models", "roll-back", newest, "--models", models).code == 0
    assert load_current(models).manifest.version == newest
    ended = run("models", "roll-back", "never", "--models", models)
    assert ended.code == 2
    assert "no version 'never'" in ended.err


def test_a_damaged_version_is_listed_with_the_reason(run: Any, models: Path) -> None:
    old = sorted(path for path in models.iterdir() if not path.is_symlink())[0]
    (old / "items.parquet").unlink()
    out = run("models", "list", "--models", models).out
    assert "items.parquet: missing" in out
    listed = json.loads(run("models", "list", "--models", models, "--json").out)["versions"]
    assert "missing" in listed[1]["problem"]
    assert "problem" not in listed[0]
    (old / "manifest.json").unlink()
    listed = json.loads(run("models", "list", "--models", models, "--json").out)["versions"]
    assert listed[1].keys() == {"version", "current", "problem"}
    assert "half-written" in run("models", "list", "--models", models).out


def test_without_a_model_it_says_what_to_do(run: Any, tmp_path: Path) -> None:
    assert "recsys train" in run("models", "list", "--models", tmp_path).out
    ended = run("models", "list", "--models", tmp_path / "absent")
    assert ended.code == 1
    assert "recsys train" in ended.err
