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
    """Print one row a result: means with their 95 % intervals, comparison, time and speed."""
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
    for result in report["results"]:
        if "error" in result:
            where = f" at {result['cut']}" if result["cut"] else ""
            console.print(escape(f"{result['model']}{where} failed: {result['error']}"))


def _cells(result: Mapping[str, Any]) -> list[str]:
    against = result["versus_best_baseline"]
    same = against is None or against["baseline"] == result["model"]
    return [
        *(_interval(result["metrics"][name]) for name in SHOWN),
        ("–" if against is None else "baseline") if same else f"{against['difference']:+.4f}",
        "" if same else _p_value(against["p_value"]),
        f"{result['fit_seconds']:.1f}",
        f"{result['score_users_per_second']:,.0f}",
    ]


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
