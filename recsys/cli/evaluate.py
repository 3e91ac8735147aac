"""`recsys evaluate`: compare models on held-out data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.errors import RecsysError, UsageError

if TYPE_CHECKING:
    from recsys.evaluation.parts import Parts
    from recsys.evaluation.protocols import Kind, Protocol
    from recsys.interactions.dataset import Dataset

DEFAULT_MODELS = "popularity,als,ease,mult-dae,mult-vae"

# what one protocol alone asks: the attribute of `Protocol`, the protocol, the flag
_ASKED = {
    "folds": ("strong", "--folds"),
    "test_users": ("strong", "--test-users"),
    "cuts": ("temporal", "--cut"),
    "horizon_days": ("temporal", "--horizon"),
    "targets": ("temporal", "--targets"),
}


def _lengths(text: str) -> tuple[int, ...]:
    """Read `10,20`."""
    ks = {int(part) for part in text.split(",")}
    if min(ks) < 1:
        raise ValueError
    return tuple(sorted(ks))


def _days(text: str) -> tuple[date, ...]:
    """Read `2011-03-01,2011-06-01`."""
    return tuple(sorted({date.fromisoformat(part.strip()) for part in text.split(",")}))


def _number_of_days(text: str) -> int:
    """Read `90d`."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,4})d", text.strip())
    if not found:
        raise ValueError
    return int(found[1])


def _read_by(read: Callable[[str], Any]) -> Callable[..., Any]:
    """Return a click callback that reads an option's text."""

    def callback(_: click.Context, option: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        try:
            return read(text)
        except ValueError as error:
            example = (read.__doc__ or "").removeprefix("Read ").rstrip(".")
            raise UsageError(f"{option.opts[0]} {text}: write it like {example}") from error

    return callback


@click.command()
@data_options
@click.option(
    "--protocol",
    type=click.Choice(["strong", "weak", "temporal", "given"]),
    help="How to hold out. Default: given for a published split, temporal with --cut, else strong.",
)
@click.option("--folds", type=int, metavar="K", help="strong: test every user once, in K parts.")
@click.option("--test-users", type=int, metavar="N", help="strong: users to test.  [default: 800]")
@click.option(
    "--cut",
    "cuts",
    callback=_read_by(_days),
    metavar="DATE,…",
    help="temporal: days (YYYY-MM-DD, 00:00 UTC) to cut at.",
)
@click.option(
    "--horizon",
    "horizon_days",
    callback=_read_by(_number_of_days),
    metavar="DAYS",
    help="temporal: how long to look, as 90d.  [default: 90d]",
)
@click.option(
    "--targets",
    type=click.Choice(["first", "all"]),
    help="temporal: find what users took for the first time, or all.  [default: first]",
)
@click.option(
    "--models",
    default=DEFAULT_MODELS,
    show_default=True,
    metavar="NAME,…",
    help="What to compare; NAME:FILE.toml takes settings from a file.",
)
@click.option(
    "--settings",
    type=click.Choice(["default", "tuned"]),
    default="default",
    show_default=True,
    help="Start from the models' defaults or from those tuned for this data set.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="MODEL.FIELD=VALUE",
    help="Change a setting; may be given again.",
)
@click.option("--versus", metavar="MODEL", help="Compare with this one, not the best baseline.")
@click.option(
    "--k",
    "ks",
    default="10,20,50,100",
    show_default=True,
    callback=_read_by(_lengths),
    metavar="K,…",
    help="Lengths of lists.",
)
@click.option("--seed", default=98765, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--json",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT",
    help="Write the results to this file.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.html",
    help="Write a page with tables and plots to this file.",
)
@click.option("--resume", is_flag=True, help="Go on with the interrupted evaluation into OUT.")
def evaluate(
    *,
    protocol: Kind | None,
    models: str,
    settings: str,
    overrides: Sequence[str],
    versus: str | None,
    ks: tuple[int, ...],
    seed: int,
    out: Path | None,
    page: Path | None,
    resume: bool,
    **flags: Any,
) -> None:
    """Compare models on held-out data: metrics with intervals, a table, JSON and a page."""
    asked = {name: flags.pop(name) for name in _ASKED}
    asked = {name: value for name, value in asked.items() if value is not None}
    _check(protocol, asked)
    parts = _parts(out, resume)
    dataset = dataset_from_flags(flags)

    from recsys.evaluation.entries import entries
    from recsys.evaluation.runner import Plan
    from recsys.evaluation.runner import evaluate as run
    from recsys.evaluation.table import print_table
    from recsys.files import write_json

    compared = entries(
        [name.strip() for name in models.split(",") if name.strip()],
        dataset,
        tuned=settings == "tuned",
        overrides=overrides,
    )
    plan = Plan(_protocol(protocol, asked, dataset), compared, ks, seed, versus)
    report = run(dataset, plan, parts=parts, tell=lambda line: click.echo(line, err=True))
    if out is not None:
        write_json(out, report)
    if page is not None:
        from recsys.evaluation.report import report_page
        from recsys.report import write_page

        write_page(page, report_page(report))
    print_table(report)
    failures = sum("error" in result for result in report["results"])
    if parts is not None and not failures:
        parts.discard()
    if failures == len(report["results"]):
        raise RecsysError("no model could be evaluated")


def _check(protocol: Kind | None, asked: Mapping[str, Any]) -> None:
    """Refuse flags that do not go together, before anything is read."""
    kinds = {_ASKED[name][0] for name in asked}
    for name in asked:
        kind, flag = _ASKED[name]
        if protocol not in {None, kind} or len(kinds) > 1:
            raise UsageError(f"{flag} is for --protocol {kind} alone")
    if "folds" in asked and "test_users" in asked:
        raise UsageError("--test-users does not go with --folds, which test every user")
    if "temporal" in {protocol, *kinds} and "cuts" not in asked:
        raise UsageError("--protocol temporal needs days to cut at: --cut 2011-06-01,…")


def _protocol(kind: Kind | None, asked: Mapping[str, Any], dataset: Dataset) -> Protocol:
    """Return the protocol asked for; flags that one protocol alone has choose it."""
    from recsys.evaluation.protocols import Protocol

    if kind is None and "cuts" in asked:
        kind = "temporal"
    if kind is None:
        kind = "given" if dataset.test is not None and not asked else "strong"
    return Protocol(kind, **asked)


def _parts(out: Path | None, resume: bool) -> Parts | None:
    """Return where finished parts are kept: beside the results."""
    if out is None:
        if resume:
            raise UsageError("--resume needs --json OUT: what is finished lies in OUT.parts")
        return None
    from recsys.evaluation.parts import Parts

    return Parts(out.with_name(out.name + ".parts"), resume)
