"""The page of an evaluation: its figures are those of the JSON, its sentences true."""

from __future__ import annotations

import copy
import json
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest

from recsys.evaluation.entries import entries
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.report import report_page
from recsys.evaluation.runner import Plan, evaluate
from recsys.interactions.dataset import Dataset
from recsys.report import Page, Section, render

CUTS = (date(2020, 3, 1), date(2020, 4, 15))


class Said(HTMLParser):
    """The words of a page, its exact figures and its tags."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.words: list[str] = []
        self.figures: list[float] = []
        self.tags: list[str] = []
        self.feed(render(page))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "data":
            self.figures.append(float(dict(attrs)["value"] or "nan"))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def report(shop: Dataset) -> dict[str, Any]:
    """Three models on held-out users, as the JSON has it."""
    compared = entries(["popularity", "ease", "als"], shop, overrides=["als.factors=4"])
    return json.loads(json.dumps(evaluate(shop, Plan(Protocol(test_users=40), compared))))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def temporal(shop: Dataset) -> dict[str, Any]:
    compared = entries(["popularity", "ease"], shop)
    protocol = Protocol("temporal", cuts=CUTS, horizon_days=60)
    return json.loads(json.dumps(evaluate(shop, Plan(protocol, compared))))  # type: ignore[no-any-return]


def section(report: dict[str, Any], title: str) -> Section:
    return next(part for part in report_page(report).sections if part.title == title)


def titles(report: dict[str, Any]) -> list[str]:
    return [part.title for part in report_page(report).sections]


def with_p(report: dict[str, Any], p_value: float) -> dict[str, Any]:
    """Return the report with every comparison as sure as `p_value`."""
    changed = copy.deepcopy(report)
    for result in changed["results"]:
        result["versus_best_baseline"]["p_value"] = p_value
        for other in result["versus"].values():
            other["p_value"] = p_value
    return changed


def test_the_figures_are_those_of_the_json(report: dict[str, Any]) -> None:
    said = Said(report_page(report))
    for result in report["results"]:
        for metric in ("recall@10", "recall@20", "recall@50", "recall@100", "ndcg@100",
                       "coverage@20", "novelty@20", "diversity@20"):  # fmt: skip
            assert result["metrics"][metric]["mean"] in said.figures, metric
        for metric in ("recall@20", "recall@50", "ndcg@100"):
            low, high = result["metrics"][metric]["ci95"]
            assert f"{low:.3f}–{high:.3f}" in said.text
        for field in ("fit_seconds", "score_users_per_second", "peak_memory_bytes"):
            assert result[field] in said.figures
        for group in result["groups"]["history_length"]:
            assert group["ndcg@100"] in said.figures
        assert result["versus_best_baseline"]["difference"] in [*said.figures, 0.0]
    for fact in (report["dataset"], "40", "98765", report["fingerprint"][:12], "strong"):
        assert fact in said.text


def test_plots_have_every_model_and_an_accessible_name(report: dict[str, Any]) -> None:
    html = render(report_page(report))
    assert html.count('role="img"') == html.count("<desc") == 2 * 5 + 2  # one pair is side by side
    for result in report["results"]:
        assert f"<title>{result['model']}: {result['metrics']['ndcg@100']['mean']:.3f}" in html


def test_the_best_is_marked_and_named(report: dict[str, Any]) -> None:
    best = max(report["results"], key=lambda result: result["metrics"]["ndcg@100"]["mean"])
    table: Any = section(report, "Accuracy").blocks[0]
    assert [row.cells[0].text for row in table.rows if row.best] == [best["model"]]
    assert section(report, "Accuracy").says.startswith(f"{best['model']} has the highest NDCG@100")


def test_what_could_be_chance_is_called_so(report: dict[str, Any]) -> None:
    sure = with_p(report, 0.0001)
    assert "could be chance" not in section(sure, "Accuracy").says
    assert "(p < .001)" in section(sure, "Accuracy").says.replace("\N{NO-BREAK SPACE}", " ")
    assert "level with the best" not in Said(report_page(sure)).text
    unsure = with_p(report, 0.41)
    says = section(unsure, "Accuracy").says.replace("\N{NO-BREAK SPACE}", " ")
    assert "(p = .410)" in says
    assert "could be chance" in says
    assert Said(report_page(unsure)).text.count("level with the best") == 2


def test_no_model_above_the_baseline_is_said(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    best = max(changed["results"], key=lambda result: result["metrics"]["ndcg@100"]["mean"])
    for result in changed["results"]:
        result["versus_best_baseline"]["baseline"] = best["model"]
    assert section(changed, "Accuracy").says.startswith("No model is above the baseline.")


def test_cuts_have_a_panel_each(temporal: dict[str, Any]) -> None:
    said = Said(report_page(temporal))
    for cut in CUTS:
        for of in ("Recall by length", "NDCG@100 against time to fit", "NDCG@100 by history"):
            assert f"{of}, {cut}" in said.text
        assert f"At {cut}: ease has the highest" in said.text
    assert "first take in the 60 days" in said.text
    assert "At the latest cut, 2020-04-15: " in section(temporal, "Accuracy and speed").says
    assert "New users" in said.text


def test_of_many_cuts_the_winners_are_counted(temporal: dict[str, Any]) -> None:
    changed = with_p(temporal, 0.2)
    for number, result in enumerate(copy.deepcopy(changed["results"])):
        changed["results"].append({**result, "cut": f"2021-0{1 + number // 2}-01"})
    assert section(changed, "Accuracy").says == (
        "ease has the highest NDCG@100 at all 4 cuts; at 4 the lead over the next could be chance."
    )


def test_failures_keep_their_reason(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    failed = changed["results"][1]
    changed["results"][1] = {
        "model": failed["model"], "cut": None, "settings": failed["settings"], "error": "no <room>"
    }  # fmt: skip
    said = Said(report_page(changed))
    assert "failed: no <room>" in said.text
    assert f"{failed['model']} failed; the table says why." in said.text
    assert "room" not in said.tags
    for result in changed["results"]:
        result.pop("metrics", None)
        result["error"] = "out of memory"
    assert titles(changed) == ["Accuracy", "Settings"]
    assert "No model could be evaluated" in Said(report_page(changed)).text


@pytest.mark.parametrize("kept", [0, 1])
def test_one_model_is_not_compared(report: dict[str, Any], kept: int) -> None:
    only = copy.deepcopy(report["results"][kept])
    only |= {"versus": {}, "versus_best_baseline": None}
    said = Said(report_page({**report, "results": [only]}))
    assert "there is no other result to compare it with" in said.text
    assert "best" not in said.text.split("Recall by length")[1]
    assert only["metrics"]["ndcg@100"]["mean"] in said.figures


def test_one_length_of_list_has_no_course(report: dict[str, Any]) -> None:
    assert "Recall by length of the list" in titles(report)
    assert "Recall by length of the list" not in titles({**report, "k": [10]})


def test_hostile_names_stay_text(report: dict[str, Any]) -> None:
    hostile = "</title></style><script>alert('x')</script>"
    changed = json.loads(json.dumps(report).replace('"ease"', json.dumps(f"ease:{hostile}")))
    changed["dataset"] = hostile
    said = Said(report_page(changed))
    assert "script" not in said.tags
    assert f"Models compared on {hostile}" in said.text
    assert f"ease:{hostile} has the highest" in said.text


def test_popular_and_rare_items_where_they_were_measured(report: dict[str, Any]) -> None:
    plain = copy.deepcopy(report)
    for result in plain["results"]:
        result["groups"].pop("items", None)
    assert "Popular and rare items" not in titles(plain)
    for number, result in enumerate(plain["results"]):
        result["groups"]["items"] = [
            {"group": "head", "recall@20": 0.5 - number / 100},
            {"group": "torso", "recall@20": None},
            {"group": "tail", "recall@20": 0.125 + number / 100},
        ]
    assert "Popular and rare items" in titles(plain)
    said = Said(report_page(plain))
    assert {0.5, 0.125, 0.145} <= set(said.figures)
    assert "for tail items" in section(plain, "Popular and rare items").says


def curve(split: str, metrics: list[float], **more: object) -> dict[str, Any]:
    points = [
        {"epoch": epoch, "loss": 700 - 10.0 * epoch, "ndcg@100": metric}
        for epoch, metric in enumerate(metrics, start=1)
    ]
    return {"split": split, "stage": "choosing", "points": points, **more}


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ([0.1, 0.2, 0.3], "best, 0.300, at epoch 3, the last; more epochs may give more"),
        ([0.1, 0.3, 0.2, 0.15], "best, 0.300, at epoch 2 of 4, and 0.150 lower at the end, while "
         "the training loss still falls: it overfits"),
        ([0.1, 0.3, 0.2995], "at epoch 2 of 3, and level from there on"),
    ],
)  # fmt: skip
def test_learning_curves_say_where_learning_should_end(
    report: dict[str, Any], metrics: list[float], says: str
) -> None:
    assert "Learning curves" not in titles(report)
    changed = copy.deepcopy(report)
    changed["results"][1]["curves"] = [curve("40 users", metrics)]
    assert says in section(changed, "Learning curves").says
    said = Said(report_page(changed))
    assert set(metrics) <= set(said.figures)
    assert "training loss" in said.text
    assert "validation NDCG@100" in said.text


def test_learning_curves_of_folds_and_of_the_second_fit(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    final = {"split": "fold 1", "stage": "final", "points": [{"epoch": 1, "loss": 5.0}]}
    changed["results"][0]["curves"] = [final]
    changed["results"][1]["curves"] = [
        curve("fold 1", [0.1, 0.3, 0.2]), final, curve("fold 2", [0.1, 0.2, 0.3])
    ]  # fmt: skip
    says = section(changed, "Learning curves").says
    assert "popularity was trained for 1 epoch without validation" in says
    assert "best at epoch 2 to 3, over 2 splits" in says
    assert "fold 2: trained on train" in Said(report_page(changed)).text


def test_settings_and_what_validation_chose(report: dict[str, Any]) -> None:
    changed = copy.deepcopy(report)
    changed["results"][1]["chosen"] = {"40 users": {"l2": 123.5}}
    said = Said(report_page(changed))
    for words in ("weights.half_life_days none", "factors 4", "l2 123.5 chosen on validation, 40"):
        assert words in said.text


@pytest.mark.parametrize("protocol", ["weak", "given"])
def test_every_protocol_has_its_question(report: dict[str, Any], protocol: str) -> None:
    page = report_page({**report, "protocol": protocol})
    assert page.lead.endswith("?")
    assert page.lead != report_page(report).lead
