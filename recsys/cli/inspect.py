"""`recsys inspect`: what a data set holds, and what was dropped on the way."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.new_products import NewProduct, new_products
from recsys.cli.tables import printable
from recsys.errors import UsageError
from recsys.interactions.dataset import Dataset
from recsys.interactions.report import ReadReport
from recsys.interactions.summary import QUANTILES, Span, Spread, Summary, summarize
from recsys.interactions.times import to_iso

_BARS = "▁▂▃▄▅▆▇█"
_NEW_SHOWN = 10


@click.command()
@click.argument("directory", required=False, metavar="[DIR|FILE|URL]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--new-below",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="A product is new that has fewer events than that.",
)
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder whose current model's events count for that, instead of the data set's.",
)
@data_options
def inspect(
    directory: str | None, as_json: bool, new_below: int, models: Path | None, **flags: Any
) -> None:
    """Show what a data set holds, how it is spread, and what was dropped and why.

    New products are listed, too: a model knows little of them, and lists can keep places for them
    (`recsys recommend --newcomers`).
    """
    if directory and flags["data"]:
        raise UsageError("the data set is named twice, as an argument and by --data")
    flags = {**flags, "data": directory or flags["data"]}
    dataset = dataset_from_flags(flags)
    summary = summarize(dataset)
    new = new_products(dataset, flags, new_below, models)
    if as_json:
        click.echo(json.dumps(_content(dataset, summary, new), indent=2, default=_iso))
    else:
        page = _page(dataset, summary, _new(new, new_below, models))
        click.echo("\n".join(page))


def _content(dataset: Dataset, summary: Summary, new: Sequence[NewProduct]) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
        "read": None if dataset.report is None else dataclasses.asdict(dataset.report),
        "quantiles": QUANTILES,
        **dataclasses.asdict(summary),
        "new_products": [
            {**vars(each), "first": None if each.first is None else to_iso(each.first)}
            for each in new
        ],
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _page(dataset: Dataset, summary: Summary, new: Iterator[str]) -> Iterator[str]:
    yield click.style(dataset.name, bold=True)
    if dataset.report is not None:
        yield from _read(dataset.report, summary)
    yield from _shape(summary)
    yield from _spreads(summary)
    yield from _tail(summary)
    if summary.span:
        yield from _span(summary.span)
    yield from _items(dataset, summary)
    yield from new
    yield ""
    yield f"fingerprint {dataset.fingerprint}"


def _title(text: str) -> Iterator[str]:
    yield ""
    yield click.style(text, bold=True)


def _read(report: ReadReport, summary: Summary) -> Iterator[str]:
    yield from _title("Read")
    for file in report.files:
        yield f"  {file}"
    if report.columns:
        read = (f"{key} from {name!r}" for key, name in report.columns.items())
        yield f"  {', '.join(read)}"
    yield f"  {report.rows:>13,}  rows of events"
    if report.bad_rows:
        rows = "bad row" if report.bad_rows == 1 else "bad rows"
        yield f"  {-report.bad_rows:>13,}  {rows}, listed in {report.bad_rows_file}"
    for step in report.steps:
        with_them = [
            f"{count:,} {name if count != 1 else name[:-1]}"
            for count, name in ((step.users, "users"), (step.items, "items"))
            if count
        ]
        gone = f", and with them {' and '.join(with_them)}" if with_them else ""
        yield f"  {-step.events:>13,}  {step.reason}{gone}"
    if report.bad_rows or report.steps:
        yield f"  {summary.interactions:>13,}  interactions left"
    else:
        yield "                 nothing was dropped"


def _shape(summary: Summary) -> Iterator[str]:
    yield from _title("Shape")
    yield f"  {summary.users:>13,}  users"
    yield f"  {summary.items:>13,}  items"
    yield f"  {summary.interactions:>13,}  interactions"
    repeats = summary.interactions / summary.pairs
    often = f", each {repeats:.2f} times on average" if repeats > 1 else ""
    yield f"  {summary.pairs:>13,}  different pairs of user and item{often}"
    yield f"  {summary.density:>13.3%}  of all possible pairs"
    if summary.test_pairs is not None:
        yield f"  {summary.test_pairs:>13,}  more pairs to test on, of {summary.test_users:,} users"


def _spreads(summary: Summary) -> Iterator[str]:
    yield from _title("Spread")
    names = [*("min" if q == 0 else "max" if q == 1 else f"{q:.0%}" for q in QUANTILES), "mean"]
    names[QUANTILES.index(0.5)] = "median"
    yield f"  {'':<22}" + "".join(f"{name:>9}" for name in names)
    rows: list[tuple[str, Spread | None]] = [
        ("items of a user", summary.items_per_user),
        ("users of an item", summary.users_per_item),
        ("interactions of a user", summary.interactions_per_user),
        ("value", summary.values),
    ]
    for name, spread in rows:
        if spread is not None:
            cells = "".join(f"{_short(number):>9}" for number in spread.quantiles)
            yield f"  {name:<22}{cells}{_short(spread.mean):>9}"


def _short(number: float) -> str:
    """Write a number in at most eight characters."""
    if abs(number) >= 1e6:
        return f"{number:.2e}"
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 1000 else f"{number:.2f}"


def _tail(summary: Summary) -> Iterator[str]:
    tail = summary.tail
    yield from _title("Long tail")
    yield f"  {tail.top_1_percent:>13.1%}  of interactions are with the top 1 % of items"
    yield f"  {tail.top_10_percent:>13.1%}  with the top 10 %"
    yield f"  {tail.items_of_one_user:>13,}  items have a single user"
    yield f"  {tail.users_below_5_items:>13,}  users have fewer than 5 items"


def _span(span: Span) -> Iterator[str]:
    yield from _title("Time")
    days = (span.last - span.first).days
    yield f"  {span.first:%Y-%m-%d %H:%M} to {span.last:%Y-%m-%d %H:%M} UTC, {days:,} days"
    most = max(span.months)
    if 1 < len(span.months) <= 70:
        bars = "".join(
            _BARS[round((len(_BARS) - 1) * count / most)] if count else " " for count in span.months
        )
        yield f"  {bars}  interactions a month, at most {most:,}"


def _items(dataset: Dataset, summary: Summary) -> Iterator[str]:
    yield from _title("Items")
    report, known = dataset.report, summary.described
    if report is None or report.listed_items is None:
        yield "  no items file, so items have no titles, categories or prices"
        return
    yield f"  {report.described_items:>13,}  of {summary.items:,} items are in the items file"
    yield f"  {known.titles:>13,}  have a title, {known.prices:,} a price"
    if known.categories:
        yield f"  {known.categories:>13,}  are in one of {known.distinct_categories:,} categories"
    if known.attributes:
        yield f"  further columns: {', '.join(known.attributes)}"
    unused = report.listed_items - report.described_items
    if unused:
        are = "is" if unused == 1 else "are"
        yield f"  {unused:>13,}  more {are} listed there, without interactions"


def _new(new: Sequence[NewProduct], below: int, models: Path | None) -> Iterator[str]:
    yield from _title("New products")
    learnt = "" if models is None else " that the current model was trained on"
    have = "product has" if len(new) == 1 else "products have"
    yield f"  {len(new):>13,}  {have} fewer than {below} events{learnt}"
    for each in new[:_NEW_SHOWN]:
        since = "" if each.first is None else f", the first on {to_iso(each.first)[:10]}"
        events = "1 event" if each.events == 1 else f"{each.events} events"
        title = "" if each.title == each.item else f" {printable(each.title)}"
        yield f"                 {printable(each.item)}{title}: {events}{since}"
    if len(new) > _NEW_SHOWN:
        yield f"                 … and {len(new) - _NEW_SHOWN:,} more; --json lists all"
