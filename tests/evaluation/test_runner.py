"""An evaluation as a whole: the report, independence of batches, failures, going on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.errors import DataError, UsageError
from recsys.evaluation.entries import entries
from recsys.evaluation.fitting import fit_chosen
from recsys.evaluation.measuring import Measure
from recsys.evaluation.parts import Parts
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.runner import Plan, evaluate
from recsys.interactions.dataset import Dataset
from recsys.interactions.parts import Split
from recsys.interactions.tables import Histories
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.linear import EASE

FOLDS = Protocol(folds=4)
NAMES = ("recall", "recall_all", "ndcg", "map", "mrr", "hit", "novelty", "diversity", "coverage")


def plan(shop: Dataset, models: str, protocol: Protocol = FOLDS, **options: Any) -> Plan:
    compared = entries(models.split(","), shop, overrides=["ease.l2=5"] if "ease" in models else [])
    return Plan(protocol, compared, ks=(5, 10), seed=1, **options)


@pytest.fixture(scope="module")
def report(shop: Dataset) -> dict[str, Any]:
    return evaluate(shop, plan(shop, "popularity,ease,pure-svd"))


def test_the_report_has_what_it_promises(shop: Dataset, report: dict[str, Any]) -> None:
    json.dumps(report, allow_nan=False)
    assert {key: report[key] for key in ("dataset", "protocol", "seed", "users", "items")} == {
        "dataset": "small-shop",
        "protocol": "strong",
        "seed": 1,
        "users": 160,
        "items": 48,
    }
    assert report["interactions"] == shop.interactions.n_events
    assert [result["model"] for result in report["results"]] == ["popularity", "ease", "pure-svd"]
    for result in report["results"]:
        assert result["cut"] is None
        assert {f"{name}@{k}" for name in NAMES for k in (5, 10)} <= set(result["metrics"])
        for name, metric in result["metrics"].items():
            assert set(metric) == {"mean", "ci95", "n"}
            assert metric["n"] == report["results"][0]["metrics"]["ndcg@100"]["n"]
            if name.startswith("coverage"):
                assert metric["ci95"] is None
            else:
                low, high = metric["ci95"]
                assert low <= metric["mean"] <= high
        assert result["fit_seconds"] >= 0
        assert result["score_users_per_second"] > 0
        assert result["peak_memory_bytes"] > 2**20
        assert result["curves"] == []
        groups = result["groups"]["history_length"]
        assert sum(group["n"] for group in groups) == metric["n"]
        mean = sum(group["n"] * group["ndcg@100"] for group in groups) / metric["n"]
        assert mean == pytest.approx(result["metrics"]["ndcg@100"]["mean"])
    assert report["results"][1]["settings"]["l2"] == 5


def test_each_fold_has_its_own_figures(shop: Dataset, report: dict[str, Any]) -> None:
    ease = report["results"][1]
    folds = ease["splits"]
    assert [fold["split"] for fold in folds] == [f"fold {number} of 4" for number in (1, 2, 3, 4)]
    metric = ease["metrics"]["ndcg@100"]
    assert sum(fold["n"] for fold in folds) == metric["n"]
    mean = sum(fold["n"] * fold["ndcg@100"] for fold in folds) / metric["n"]
    assert mean == pytest.approx(metric["mean"])
    assert len({fold["ndcg@100"] for fold in folds}) == 4


def test_models_are_compared_with_the_best_baseline(report: dict[str, Any]) -> None:
    popularity, ease, svd = report["results"]
    means = {result["model"]: result["metrics"]["ndcg@100"]["mean"] for result in report["results"]}
    assert means["pure-svd"] > means["popularity"]
    against = ease["versus_best_baseline"]
    assert (against["baseline"], against["metric"]) == ("pure-svd", "ndcg@100")
    assert against["difference"] == pytest.approx(means["ease"] - means["pure-svd"])
    assert svd["versus_best_baseline"]["difference"] == 0
    assert svd["versus_best_baseline"]["p_value"] == 1
    assert popularity["versus_best_baseline"]["p_value"] < 0.01
    assert set(popularity["versus"]) == {"ease", "pure-svd"}
    one, other = ease["versus"]["popularity"], popularity["versus"]["ease"]
    assert one["difference"] == -other["difference"] > 0
    assert one["p_value"] == other["p_value"]


def test_versus_names_the_baseline(shop: Dataset) -> None:
    found = evaluate(shop, plan(shop, "popularity,ease", versus="ease"))
    assert found["results"][0]["versus_best_baseline"]["baseline"] == "ease"
    assert found["results"][0]["versus_best_baseline"]["difference"] < 0
    with pytest.raises(UsageError, match="--versus als: not among --models"):
        evaluate(shop, plan(shop, "popularity,ease", versus="als"))


def test_without_a_baseline_there_is_no_comparison_with_one(shop: Dataset) -> None:
    found = evaluate(shop, plan(shop, "ease", Protocol(test_users=20)))
    assert found["results"][0]["versus_best_baseline"] is None
    assert found["results"][0]["versus"] == {}


def test_the_same_seed_gives_the_same_report(shop: Dataset, report: dict[str, Any]) -> None:
    again = evaluate(shop, plan(shop, "popularity,ease,pure-svd"))
    timed = {"fit_seconds", "score_users_per_second", "peak_memory_bytes"}
    for one, other in zip(report["results"], again["results"], strict=True):
        assert {key: one[key] for key in one if key not in timed} == {
            key: other[key] for key in other if key not in timed
        }


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_results_do_not_depend_on_the_batch_size(shop: Dataset, batch: int) -> None:
    (split,) = Protocol(test_users=40).splits(shop, 1)
    (entry,) = entries(["popularity"], shop)  # whole numbers: the same bits in every batch shape
    model = fit_chosen(entry.name, {}, entry.weighting, split.training, RunOptions())
    measure = Measure(split, shop.interactions.n_items, [5, 10])
    one, other = measure(model, entry.weighting), measure(model, entry.weighting, batch=batch)
    for name, values in one.values.items():
        np.testing.assert_allclose(values, other.values[name], rtol=1e-6, err_msg=name)
    for k, listed in one.listed.items():
        np.testing.assert_array_equal(listed, other.listed[k])
    np.testing.assert_array_equal(one.lengths, other.lengths)


def test_coverage_is_kept_by_the_codes_of_the_data_set(shop: Dataset) -> None:
    """Splits have columns of their own; pooled, an item is the same one in all."""
    late = shop.interactions.items % 3 == 0  # a third of the items first sold after the cut
    times = shop.interactions.times
    assert times is not None
    cut = Protocol("temporal", cuts=(date(2020, 4, 1),))
    (at,) = (split.cut for split in cut.splits(shop, 1))
    data = replace(shop, interactions=shop.interactions.where(~late | (times >= at)))
    (split,) = cut.splits(data, 1)
    model = fit_chosen("popularity", {}, Weighting(), split.training, RunOptions())
    measured = Measure(split, data.interactions.n_items, [10])(model, Weighting())
    assert np.flatnonzero(~measured.catalogue).tolist() == list(range(0, 48, 3))
    assert measured.listed[10].any()
    assert not (measured.listed[10] & ~measured.catalogue).any()


def test_scores_are_streamed(shop: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call of a model sees more users than fit the fixed room for scores."""
    seen: list[int] = []
    score = EASE.score

    def watched(self: EASE, histories: Histories) -> Any:
        seen.append(len(histories))
        return score(self, histories)

    monkeypatch.setattr(EASE, "score", watched)
    monkeypatch.setattr("recsys.evaluation.measuring._SCORES_AT_ONCE", 48 * 10)
    found = evaluate(shop, plan(shop, "ease", Protocol(test_users=40)))
    assert max(seen) <= 11
    assert sum(seen) == found["results"][0]["metrics"]["ndcg@100"]["n"] == 40


def test_what_was_seen_is_not_listed_but_with_all_targets(shop: Dataset) -> None:
    cuts = (date(2020, 5, 1),)
    first, every = (
        evaluate(shop, plan(shop, "buy-again", Protocol("temporal", cuts=cuts, targets=targets)))
        for targets in ("first", "all")
    )
    # buy-again knows nothing but the history: it finds what comes again, or nothing new
    (first,), (every,) = first["results"], every["results"]
    assert every["metrics"]["recall@10"]["mean"] > first["metrics"]["recall@10"]["mean"] + 0.1
    assert first["cut"] == every["cut"] == "2020-05-01"
    assert set(first["left_out"]) >= {"new users", "unknown items"}


def test_every_cut_has_its_own_results(shop: Dataset) -> None:
    cuts = (date(2020, 4, 1), date(2020, 5, 1))
    found = evaluate(shop, plan(shop, "popularity,ease", Protocol("temporal", cuts=cuts)))
    assert [(result["cut"], result["model"]) for result in found["results"]] == [
        ("2020-04-01", "popularity"),
        ("2020-04-01", "ease"),
        ("2020-05-01", "popularity"),
        ("2020-05-01", "ease"),
    ]
    assert found["cuts"] == ["2020-04-01", "2020-05-01"]


def test_a_model_that_fails_leaves_the_others_alone(
    shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    score = EASE.score

    def fails(self: EASE, histories: Histories) -> Any:
        if sum("ease" in line for line in told) == 2:  # in the third fold
            raise ValueError("out of luck")
        return score(self, histories)

    monkeypatch.setattr(EASE, "score", fails)
    found = evaluate(shop, plan(shop, "popularity,ease"), tell=told.append)
    popularity, ease = found["results"]
    assert "metrics" not in ease
    assert ease["error"].startswith("ValueError: out of luck (test_runner.py:")
    assert "error" not in popularity
    assert any("ease failed: ValueError" in line for line in told)
    assert sum("ease" in line for line in told) == 3


def test_protocols_that_the_data_does_not_allow(shop: Dataset) -> None:
    with pytest.raises(UsageError, match="--protocol given: small-shop is no published split"):
        evaluate(shop, plan(shop, "popularity", Protocol("given")))
    with pytest.raises(UsageError, match="--test-users 800"):
        evaluate(shop, plan(shop, "popularity", Protocol()))


def test_weak_and_given(shop: Dataset) -> None:
    weak = evaluate(shop, plan(shop, "popularity,ease", Protocol("weak")))
    assert weak["results"][1]["metrics"]["recall@10"]["mean"] > 0.3
    test = shop.interactions.where(np.arange(shop.interactions.n_events) % 5 == 0)
    train = shop.interactions.where(np.arange(shop.interactions.n_events) % 5 != 0)
    published = replace(shop, interactions=train, test=test)
    given = evaluate(published, plan(shop, "ease", Protocol("given")))
    assert given["interactions"] == shop.interactions.n_events
    assert given["results"][0]["left_out"]["pairs already in train"] > 0


class Interrupted(KeyboardInterrupt):
    """What a person does in the middle."""


def test_an_interrupted_evaluation_goes_on(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: dict[str, Any]
) -> None:
    asked = plan(shop, "popularity,ease,pure-svd")

    def stop_at_fold_3(line: str) -> None:
        if line.startswith("fold 3"):
            raise Interrupted

    with pytest.raises(Interrupted):
        evaluate(shop, asked, parts=Parts(tmp_path, resume=False), tell=stop_at_fold_3)
    fitted: list[Split] = []
    whole = Parts(tmp_path, resume=True)
    (damaged, *_) = sorted(tmp_path.glob("*.safetensors"))
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)

    def counted(*arguments: Any) -> Any:
        fitted.append(arguments)
        return fit(*arguments)

    from recsys.evaluation import runner

    fit = runner.fit_with_curves
    monkeypatch.setattr(runner, "fit_with_curves", counted)
    found = evaluate(shop, asked, parts=whole)
    # seven of the twelve were done, one of them was damaged
    assert len(fitted) == 12 - 7 + 1
    for one, other in zip(found["results"], report["results"], strict=True):
        assert one["metrics"] == other["metrics"]
        assert one["left_out"] == other["left_out"]
    # other settings are another part
    fitted.clear()
    evaluate(shop, replace(asked, entries=entries(["ease"], shop)), parts=whole)
    assert len(fitted) == 4
    whole.discard()
    assert not tmp_path.exists()


def test_data_that_nothing_can_be_learnt_from(shop: Dataset) -> None:
    """A model's own refusal is its result, word for word."""
    cut = date(2020, 1, 20)  # the horizon before it holds everything: nothing to choose on
    found = evaluate(shop, plan(shop, "mult-dae,popularity", Protocol("temporal", cuts=(cut,))))
    dae, popularity = found["results"]
    assert "chooses settings on validation users" in dae["error"]
    assert "error" not in popularity
    assert DataError.__name__ not in dae["error"]
