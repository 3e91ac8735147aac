"""The results of an evaluation as its report reads them: by cut, ranked, in words and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from recsys.evaluation.results import COMPARED

Result = Mapping[str, Any]

SURE = 0.05
"""A difference whose p-value is not below this could be chance."""


@dataclass(frozen=True)
class Compared:
    """An evaluation's report with what its sections ask of it.

    Attributes
    ----------
    report
        What `recsys.evaluation.runner.evaluate` returned, or its JSON.
    """

    report: Mapping[str, Any]

    @cached_property
    def cuts(self) -> list[str | None]:
        """The cuts in order; None alone where there is no cut in time."""
        return list(dict.fromkeys(result["cut"] for result in self.report["results"]))

    @cached_property
    def models(self) -> list[str]:
        """The labels in order."""
        return list(dict.fromkeys(result["model"] for result in self.report["results"]))

    @cached_property
    def tested(self) -> list[str | None]:
        """The cuts at which some model was evaluated."""
        return [cut for cut in self.cuts if self.done(cut)]

    def done(self, cut: str | None) -> list[Result]:
        """Return the results at a cut that are not failures."""
        return [r for r in self.report["results"] if r["cut"] == cut and "error" not in r]

    def failed(self) -> list[Result]:
        """Return the failures."""
        return [r for r in self.report["results"] if "error" in r]

    def ranked(self, cut: str | None) -> list[Result]:
        """Return the results at a cut, the highest NDCG@100 first."""
        return sorted(self.done(cut), key=accuracy, reverse=True)

    def series(self, model: str) -> int:
        """Return which series a model is in all plots and tables."""
        return self.models.index(model)

    def level_with_best(self, result: Result) -> bool:
        """Say whether a result's difference from the best of its cut could be chance."""
        best = self.ranked(result["cut"])[0]
        return best is not result and result["versus"][best["model"]]["p_value"] >= SURE

    @cached_property
    def together(self) -> Compared | None:
        """The cuts as one, with the results that are pooled over them; None where none are."""
        pooled = self.report.get("pooled", {}).get("results")
        if not pooled:
            return None
        found = {
            result["model"]: {**result, "cut": None, "metrics": {result["metric"]: result}}
            for result in pooled
        }
        failed_at: dict[str, list[str]] = {model: [] for model in self.models}
        for result in self.failed():
            failed_at[result["model"]].append(result["cut"])
        return Compared(
            {
                "results": [
                    found[model]
                    if model in found
                    else {"model": model, "cut": None, "error": f"at {listed(failed_at[model])}"}
                    for model in self.models
                ]
            }
        )

    @property
    def at_latest(self) -> str:
        """Words that start a sentence about the latest cut of several."""
        return f"At the latest cut, {self.tested[-1]}: " if len(self.tested) > 1 else ""


def mean(result: Result, metric: str) -> float | None:
    """Return a metric's mean over users, None where it has none or was not measured."""
    value: float | None = result["metrics"].get(metric, {}).get("mean")
    return value


def accuracy(result: Result) -> float:
    """Return what results are ranked by."""
    value: float = result["metrics"][COMPARED]["mean"]
    return value


def metric_name(metric: str) -> str:
    """Return a metric as prose has it: NDCG@100."""
    name, _, k = metric.partition("@")
    shown = name.upper() if name in {"ndcg", "map", "mrr"} else name.capitalize().replace("_", " ")
    return f"{shown}@{k}" if k else shown


def figure(value: float) -> str:
    """Return a metric to three decimals."""
    return f"{value:.3f}"


def percent(share: float) -> str:
    """Return a share in per cent, to two figures where it is small."""
    hundredths = 100 * share
    return _unbroken(f"{hundredths:.0f} %" if hundredths >= 9.95 else f"{hundredths:.2g} %")


def p_text(p_value: float) -> str:
    """Return a p-value as prose has it: p < .001, p = .042."""
    shown = "< .001" if p_value < 0.001 else f"= {p_value:.3f}".replace("0.", ".")
    return _unbroken(f"p {shown}")


def seconds(value: float) -> str:
    """Return a time in the unit that reads best."""
    if value < 99.5:
        return _unbroken(f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s")
    minutes = value / 60
    return _unbroken(f"{minutes:.0f} min" if minutes < 99.5 else f"{minutes / 60:.1f} h")


def memory(size: int) -> str:
    """Return a size in memory."""
    return _unbroken(f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB")


def _unbroken(text: str) -> str:
    """Keep a number and its unit on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return `a`, `a and b` or `a, b and c`; of more than `most` the last are only counted."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} others"]
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
