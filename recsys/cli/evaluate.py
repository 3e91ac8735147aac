"""`recsys evaluate`: compare models on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import names, overrides_option, settings_option
from recsys.cli.protocol_options import (
    checked_protocol,
    protocol_from,
    protocol_options,
    read_by,
)
from recsys.errors import RecsysError, UsageError

if TYPE_CHECKING:
    from recsys.evaluation.parts import Parts

DEFAULT_MODELS = "popularity,als,ease,mult-dae,mult-vae"


def _lengths(text: str) -> tuple[int, ...]:
    """Read `10,20`."""
    ks = {int(part) for part in text.split(",")}
    if min(ks) < 1:
        raise ValueError
    return tuple(sorted(ks))


@click.command()
@data_options
@protocol_options
@click.option(
    "--models",
    default=DEFAULT_MODELS,
    show_default=True,
    metavar="NAME,…",
    help="What to compare; NAME:FILE.toml takes settings from a file.",
)
@settings_option("default")
@overrides_option("Change a setting; may be given again.")
@click.option("--versus", metavar="MODEL", help="Compare with this one, not the best baseline.")
@click.option(
    "--k",
    "ks",
    default="10,20,50,100",
    show_default=True,
    callback=read_by(_lengths),
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
    asked = checked_protocol(flags)
    parts = _parts(out, resume)
    dataset = dataset_from_flags(flags)

    from recsys.evaluation.entries import entries
    from recsys.evaluation.runner import Plan
    from recsys.evaluation.runner import evaluate as run
    from recsys.evaluation.table import print_table
    from recsys.evaluation.tuned import tuned_from
    from recsys.files import write_json

    protocol = protocol_from(asked, dataset)
    compared = entries(
        names(models),
        dataset,
        settings=tuned_from(settings, dataset, protocol.kind).models,
        overrides=overrides,
    )
    plan = Plan(protocol, compared, ks, seed, versus)
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


def _parts(out: Path | None, resume: bool) -> Parts | None:
    """Return where finished parts are kept: beside the results."""
    if out is None:
        if resume:
            raise UsageError("--resume needs --json OUT: what is finished lies in OUT.parts")
        return None
    from recsys.evaluation.parts import Parts

    return Parts(out.with_name(out.name + ".parts"), resume)
