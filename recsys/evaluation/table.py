"""The comparison as a table on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

SHOWN = ("recall@20", "recall@50", "ndcg@100")
_WIDTH_WITHOUT_TERMINAL = 140


def print_table(report: Mapping[str, Any]) -> None:
    """Print one row a result: means with their 95 % intervals, comparison, time and speed.

    Where there are several cuts, one row a model for all of them together stands below.
    """
    by_cut = any(result["cut"] for result in report["results"])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=_caption(report))
    table.add_column("model", no_wrap=True)
    if by_cut:
        table.add_column("cut", no_wrap=True)
    for heading in (*SHOWN, "vs baseline", "p", "fit s", "users/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in report["results"]:
        start = [escape(result["model"]), *([result["cut"] or ""] if by_cut else [])]
        cells = ["failed"] if "error" in result else _cells(result)
        table.add_row(*start, *cells)
    width = None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL
    console = Console(width=width, highlight=False)
    console.print(table)
    if report.get("pooled", {}).get("results"):
        _print_over_cuts(report["pooled"], console)
    for result in report["results"]:
        if "error" in result:
            where = f" at {result['cut']}" if result["cut"] else ""
            console.print(escape(f"{result['model']}{where} failed: {result['error']}"))


def _print_over_cuts(pooled: Mapping[str, Any], console: Console) -> None:
    metric, rows = pooled["results"][0]["metric"], pooled["results"][0]["n"]
    console.print(
        f"\nover the {len(pooled['cuts'])} cuts together, resampled by customer ({rows:,} rows of "
        f"{pooled['users']:,} customers)"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for heading in (metric, "vs baseline", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in pooled["results"]:
        table.add_row(escape(result["model"]), _interval(result), *_against(result))
    console.print(table)


def _cells(result: Mapping[str, Any]) -> list[str]:
    return [
        *(_interval(result["metrics"][name]) for name in SHOWN),
        *_against(result),
        f"{result['fit_seconds']:.1f}",
        f"{result['score_users_per_second']:,.0f}",
    ]


def _against(result: Mapping[str, Any]) -> list[str]:
    """Return the difference from the baseline and its p-value."""
    against = result["versus_best_baseline"]
    if against is None:
        return ["–", ""]
    if against["baseline"] == result["model"]:
        return ["baseline", ""]
    return [f"{against['difference']:+.4f}", _p_value(against["p_value"])]


def _interval(metric: Mapping[str, Any]) -> str:
    low, high = metric["ci95"]
    return f"{metric['mean']:.3f} [dim]({low:.3f}–{high:.3f})[/dim]"


def _p_value(p_value: float) -> str:
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")


def _caption(report: Mapping[str, Any]) -> str:
    tested = [
        result["metrics"]["ndcg@100"]["n"] for result in report["results"] if "error" not in result
    ]
    users = f"{tested[0]:,} users tested, " if len(set(tested)) == 1 else ""
    return (
        f"{escape(report['dataset'])}, protocol {report['protocol']}, {users}"
        "95 % intervals; p Holm-corrected"
    )
