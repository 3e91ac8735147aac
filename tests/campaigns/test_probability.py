"""Leaving out what a customer is unlikely to take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from campaign_files import audience, lists_of
from insight_logs import N_ITEMS, four_tastes
from recsys.campaigns.job import run_campaign
from recsys.campaigns.spec import CampaignSpec, RuleSpec
from recsys.errors import UsageError
from recsys.evaluation.entries import Entry
from recsys.evaluation.publishing import Recipe, train_and_publish
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.spec import DatasetSpec
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.recommender import Recommender

Asked = Callable[..., CampaignSpec]


def test_only_likely_items_are_sent(tmp_path: Path, asked: Asked) -> None:
    log = four_tastes(200, 1)
    titles = Catalogue.untitled([f"T{item}" for item in range(N_ITEMS)])
    users = IdMap(f"u{user}" for user in range(200))
    items = IdMap(f"i{item}" for item in range(N_ITEMS))
    shop = Dataset("tastes", "tastes", "00", log, users, items, titles, Weighting())
    recipe = Recipe("tastes", DatasetSpec(), Entry("ease", "ease", {}, Weighting()), "strong", 1)
    train_and_publish(tmp_path / "models", shop, recipe, RunOptions(seed=1))
    recommender = Recommender.open(tmp_path / "models")
    sure = recommender.recommend("u3", k=70, at=0, uncertainty=True).items
    least = float(np.sort([one.probability or 0 for one in sure])[-5:-3].mean())
    people = audience(tmp_path, "u3", "u4", "stranger")
    spec = asked(
        people, k=8, models=tmp_path / "models", rules=RuleSpec(min_probability=least), at=0
    )
    run_campaign(spec, tmp_path / "out")
    sent = lists_of(tmp_path / "out")
    assert sent["u3"] == [one.item for one in sure if (one.probability or 0) >= least]
    assert len(sent["u3"]) == 4
    assert len(sent["stranger"]) == 8  # popular items have no probability


def test_a_model_without_probabilities_is_refused(tmp_path: Path, asked: Asked) -> None:
    spec = asked(audience(tmp_path, "001"), rules=RuleSpec(min_probability=0.1))
    with pytest.raises(UsageError, match="published without probabilities"):
        run_campaign(spec, tmp_path / "out")
