"""What several cuts say together: the unit is the customer, not its row at a cut."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation.entries import Entry
from recsys.evaluation.measuring import Measured
from recsys.evaluation.parts import Parts
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.report import report_page
from recsys.evaluation.results import COMPARED, Outcome, over_cuts, results
from recsys.evaluation.runner import Plan, evaluate
from recsys.evaluation.significance import bootstrap_intervals, holm
from recsys.evaluation.table import print_table
from recsys.interactions.dataset import Dataset
from recsys.interactions.weighting import Weighting
from recsys.report import Section

MODELS = ("popularity", "item-knn", "ease")
Scored = tuple[np.ndarray, np.ndarray]
"""Users, (n,), and their NDCG@100 by model, (n, m)."""


def measured(users: np.ndarray, values: np.ndarray) -> Measured:
    n = len(users)
    return Measured(
        users=users.astype(np.int32),
        values={"recall@20": values, COMPARED: values},
        by_item_group={},
        lengths=np.full(n, 4),
        catalogue=np.ones(3, np.bool_),
        listed={},
        score_seconds=1.0,
    )


def outcomes(
    cuts: Mapping[str | None, Scored], failed: Sequence[tuple[str | None, str]] = ()
) -> list[Outcome]:
    return [
        Outcome(
            Entry(model, model, {}, Weighting()),
            cut,
            "out of memory" if (cut, model) in failed else measured(users, values[:, column]),
        )
        for cut, (users, values) in cuts.items()
        for column, model in enumerate(MODELS)
    ]


def together(
    cuts: Mapping[str | None, Scored], failed: Sequence[tuple[str | None, str]] = ()
) -> dict[str, Any]:
    return over_cuts(outcomes(cuts, failed), seed=4, versus=None)


def p_values(pooled: Mapping[str, Any]) -> list[float]:
    return [
        p
        for result in pooled["results"]
        for p in (
            result["versus_best_baseline"]["p_value"],
            *(other["p_value"] for other in result["versus"].values()),
        )
    ]


def scored(seed: int, n: int, users: np.ndarray | None = None) -> Scored:
    rng = np.random.default_rng(seed)
    own = rng.random((n, 1)) * [0.0, 0.1, 0.2]
    return np.arange(n) if users is None else users, rng.random((n, len(MODELS))) + own


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 60))
def test_one_cut_alone_says_what_its_own_results_say(seed: int, n: int) -> None:
    found = outcomes({"2020-05-01": scored(seed, n)})
    alone = results(found, seed=4, versus=None)
    pooled = over_cuts(found, seed=4, versus=None)
    assert (pooled["cuts"], pooled["users"]) == (["2020-05-01"], n)
    for one, whole in zip(alone, pooled["results"], strict=True):
        metric = one["metrics"][COMPARED]
        assert (whole["model"], whole["metric"], whole["n"]) == (one["model"], COMPARED, n)
        assert whole["mean"] == pytest.approx(metric["mean"], rel=1e-12)
        assert whole["ci95"] == pytest.approx(metric["ci95"], rel=1e-12)
        assert whole["versus"] == one["versus"]
        assert whole["versus_best_baseline"] == one["versus_best_baseline"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 60), copies=st.integers(2, 6))
def test_the_same_rows_at_every_cut_are_no_further_evidence(seed: int, n: int, copies: int) -> None:
    """Rows taken for people of their own would shrink p-values and intervals by √copies."""
    rows = scored(seed, n)
    once = together({"cut 0": rows})
    again = together({f"cut {number}": rows for number in range(copies)})
    assert again["users"] == once["users"] == n
    assert p_values(again) == p_values(once)
    for one, whole in zip(once["results"], again["results"], strict=True):
        assert whole["n"] == copies * one["n"]
        assert whole["mean"] == pytest.approx(one["mean"])
        assert whole["ci95"] == pytest.approx(one["ci95"])


def test_a_customer_s_differences_flip_together() -> None:
    """Against every throw of one coin a customer; p would be another with a coin a row."""
    cuts = {
        "first": scored(1, 7, np.array([2, 3, 5, 7, 11, 13, 17])),
        "second": scored(2, 6, np.array([3, 5, 11, 17, 19, 23])),
        "third": scored(3, 3, np.array([2, 5, 23])),
    }
    pooled = together(cuts)
    assert pooled["users"] == 9
    assert {result["n"] for result in pooled["results"]} == {16}
    users = np.concatenate([users for users, _ in cuts.values()])
    values = np.concatenate([values for _, values in cuts.values()])
    pairs = [(0, 1), (0, 2), (1, 2)]
    exact = []
    for a, b in pairs:
        difference = values[:, a] - values[:, b]
        sums = [difference[users == user].sum() for user in np.unique(users)]
        flipped = np.array(list(product([-1, 1], repeat=len(sums)))) @ sums
        exact.append(float((np.abs(flipped) >= abs(sum(sums)) - 1e-9).mean()))
    for (a, b), p_value in zip(pairs, holm(np.array(exact)), strict=True):
        found = pooled["results"][a]["versus"][MODELS[b]]
        assert found["p_value"] == pytest.approx(p_value, abs=0.03)
        assert found["difference"] == pytest.approx(values[:, a].mean() - values[:, b].mean())


def test_intervals_are_of_customers_who_bring_all_their_rows() -> None:
    """Against the linearised deviation of a ratio mean: √Σ (Σ_rows y − mean · rows)² / n_rows."""
    rng = np.random.default_rng(8)
    own = rng.standard_normal(2000)  # a customer's rows are alike
    counts = rng.integers(1, 5, 2000)
    rows = np.repeat(own + counts, counts) + 0.1 * rng.standard_normal(counts.sum())
    customer = np.repeat(np.arange(2000), counts)
    sums = np.bincount(customer, rows)
    mean = rows.mean()
    half = 1.96 * np.sqrt(((sums - mean * counts) ** 2).sum()) / len(rows)
    ((low, high),) = bootstrap_intervals(
        sums[:, None], np.random.default_rng(9), counts=counts.astype(float)
    )
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.15 * half)
    ((low, high),) = bootstrap_intervals(rows[:, None], np.random.default_rng(9))
    assert high - low < 0.75 * 2 * half


def test_a_model_that_failed_at_a_cut_has_no_pooled_result() -> None:
    cuts = {"first": scored(1, 9), "second": scored(2, 9)}
    pooled = together(cuts, failed=[("second", "item-knn")])
    assert [result["model"] for result in pooled["results"]] == ["popularity", "ease"]
    assert pooled["results"][1]["versus_best_baseline"]["baseline"] == "popularity"
    assert set(pooled["results"][1]["versus"]) == {"popularity"}
    nothing = together(cuts, failed=[("first", model) for model in MODELS])
    assert nothing == {"cuts": ["first", "second"], "users": 0, "results": []}


def test_versus_names_the_baseline_here_too() -> None:
    found = outcomes({"first": scored(1, 9), "second": scored(2, 9)})
    pooled = over_cuts(found, seed=4, versus="ease")
    assert [r["versus_best_baseline"]["baseline"] for r in pooled["results"]] == ["ease"] * 3


CUTS = (date(2020, 3, 1), date(2020, 4, 15))


def plan(protocol: Protocol) -> Plan:
    return Plan(
        protocol, [Entry(model, model, {}, Weighting()) for model in ("popularity", "ease")]
    )


@pytest.fixture(scope="module")
def report(shop: Dataset) -> dict[str, Any]:
    return evaluate(shop, plan(Protocol("temporal", cuts=CUTS, horizon_days=60)))


def test_an_evaluation_of_several_cuts_pools_them(shop: Dataset, report: dict[str, Any]) -> None:
    pooled = json.loads(json.dumps(report["pooled"], allow_nan=False))
    assert pooled["cuts"] == [str(cut) for cut in CUTS]
    splits = Protocol("temporal", cuts=CUTS, horizon_days=60).splits(shop, 1)
    first, second = (split.test.users for split in splits)
    assert pooled["users"] == len(np.union1d(first, second)) < len(first) + len(second)
    assert [result["model"] for result in pooled["results"]] == ["popularity", "ease"]
    for result in pooled["results"]:
        own = [r["metrics"][COMPARED] for r in report["results"] if r["model"] == result["model"]]
        assert result["n"] == len(first) + len(second)
        assert result["mean"] == pytest.approx(
            sum(metric["mean"] * metric["n"] for metric in own) / result["n"]
        )
        assert result["ci95"][0] < result["mean"] < result["ci95"][1]
        assert set(result["versus_best_baseline"]) == {
            "baseline", "metric", "difference", "p_value"
        }  # fmt: skip


@pytest.mark.parametrize("protocol", [Protocol(folds=3), Protocol("temporal", cuts=CUTS[:1])])
def test_folds_and_single_cuts_have_nothing_to_pool(shop: Dataset, protocol: Protocol) -> None:
    assert "pooled" not in evaluate(shop, plan(protocol))


def test_who_was_tested_is_kept_with_the_parts(
    shop: Dataset, report: dict[str, Any], tmp_path: Path
) -> None:
    asked = plan(Protocol("temporal", cuts=CUTS, horizon_days=60))
    evaluate(shop, asked, parts=Parts(tmp_path, resume=False))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 2 * 2 * 2
    assert evaluate(shop, asked, parts=Parts(tmp_path, resume=True))["pooled"] == report["pooled"]
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_the_table_has_them_below_the_cuts(
    report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(report)
    _, said, below = capsys.readouterr().out.partition(
        "over the 2 cuts together, resampled by customer"
    )
    assert said
    for result in report["pooled"]["results"]:
        low, high = result["ci95"]
        assert f"{result['model']} " in below
        assert f"{result['mean']:.3f} ({low:.3f}–{high:.3f})" in below
    print_table({**report, "pooled": {"cuts": [], "users": 0, "results": []}})
    assert "together" not in capsys.readouterr().out


def section(report: Mapping[str, Any]) -> Section:
    return next(part for part in report_page(report).sections if part.title == "The cuts together")


def test_the_page_has_a_section_of_them(report: dict[str, Any]) -> None:
    table: Any = section(report).blocks[0]
    ease = report["pooled"]["results"][1]
    assert section(report).says.startswith(f"ease has the highest NDCG@100 {ease['mean']:.3f}")
    assert [row.cells[1].value for row in table.rows] == [
        result["mean"] for result in report["pooled"]["results"]
    ]
    assert [row.best for row in table.rows] == [False, True]
    assert f"{ease['n']:,} rows of {report['pooled']['users']:,} customers" in table.caption


def test_the_page_says_which_model_could_not_be_pooled(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    for key in ("metrics", "versus", "versus_best_baseline"):
        del changed["results"][0][key]
    changed["results"][0]["error"] = "out of memory"
    del changed["pooled"]["results"][0]
    changed["pooled"]["results"][0] |= {"versus": {}, "versus_best_baseline": None}
    table: Any = section(changed).blocks[0]
    assert table.rows[0].cells[1].text == "failed: at 2020-03-01"
    assert [row.cells[0].series for row in table.rows] == [0, 1]  # as in all other tables
