"""How sure a list is, asked of the API: the figures that the recommender gives, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from api import create_app
from insight_logs import four_tastes
from recsys.evaluation.entries import Entry
from recsys.evaluation.publishing import Recipe, train_and_publish
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.spec import DatasetSpec
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.recommender import Recommender

SMALL = {"hidden": [16, 4], "epochs": 5, "patience": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a mult-vae, published as `recsys train` does it."""
    models, log = tmp_path_factory.mktemp("sure"), four_tastes(200, 1)
    users, items = IdMap(f"u{n}" for n in range(200)), IdMap(f"i{n}" for n in range(80))
    titles = Catalogue.untitled([f"T{n}" for n in range(80)])
    data = Dataset("tastes", "tastes", "00", log, users, items, titles, Weighting())
    entry = Entry("mult-vae", "mult-vae", SMALL, Weighting())
    recipe = Recipe("tastes", DatasetSpec(), entry, "strong", 1)
    train_and_publish(models, data, recipe, RunOptions(seed=1))
    return models


@pytest.fixture(scope="module")
def sure(folder: Path) -> Flask:
    return create_app({"models": folder})


def items(app: Flask, path: str, body: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with app.test_client() as client:
        found = client.get(path) if body is None else client.post(path, data=json.dumps(body))
    assert found.status_code == 200, found.text
    listed: list[dict[str, Any]] = found.json["items"]
    return listed


def test_both_figures_come_on_request_alone(sure: Flask, folder: Path) -> None:
    listed = items(sure, "/recommend?user=u3&k=5&uncertainty=true")
    known = Recommender.open(folder).recommend("u3", k=5, uncertainty=True).items
    for one, same in zip(listed, known, strict=True):
        assert 0 < one["probability"] < 1
        assert 0 < one["stability"] <= 1
        assert one["probability"] == pytest.approx(same.probability, rel=1e-5)
        assert one["stability"] == same.stability
    plain = items(sure, "/recommend?user=u3&k=5")
    assert [one["item"] for one in plain] == [one["item"] for one in listed]
    assert not {"probability", "stability"} & set(plain[0])


def test_a_basket_gets_the_figures_of_the_user_with_that_history(sure: Flask, folder: Path) -> None:
    history = [one.item for one in Recommender.open(folder).history("u3")]
    user = items(sure, "/recommend?user=u3&k=5&uncertainty=true")
    basket = items(sure, "/recommend", {"history": history, "k": 5, "uncertainty": True})
    assert [one["item"] for one in basket] == [one["item"] for one in user]
    for one, same in zip(basket, user, strict=True):
        assert one["probability"] == pytest.approx(same["probability"], rel=1e-4)


def test_strangers_have_no_figures(sure: Flask) -> None:
    listed = items(sure, "/recommend?user=nobody&k=3&uncertainty=true")
    assert [one["probability"] for one in listed] == [None] * 3


@pytest.mark.parametrize("wrong", ["uncertainty=perhaps", "uncertainty="])
def test_anything_but_true_or_false_is_refused(sure: Flask, wrong: str) -> None:
    with sure.test_client() as client:
        found = client.get(f"/recommend?user=u3&{wrong}")
    assert found.status_code == 400
    assert "uncertainty" in found.json["detail"]
