"""`recsys retrain`: train anew as last time; made for cron."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys.cli.model_options import opened_store, store_options

if TYPE_CHECKING:
    from recsys.store.retraining import Comparison

_SHARE = click.FloatRange(min=0)


@click.command()
@store_options
@click.option("--data", metavar="DIR|FILE|URL", help="Read this instead of last time's data.")
@click.option(
    "--least",
    type=_SHARE,
    default=0.9,
    show_default=True,
    help="Refuse fewer rows, users or items than this share of the last time's.",
)
@click.option(
    "--most", type=_SHARE, default=1.5, show_default=True, help="Refuse more than this share."
)
@click.option("--force", is_flag=True, help="Publish whatever speaks against it.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def retrain(
    *,
    models: Path,
    url: str | None,
    data: str | None,
    least: float,
    most: float,
    force: bool,
    device: str,
    as_json: bool,
) -> None:
    """Train anew as the current model was, on its data read again with the store's events.

    It is published where nothing speaks against it: rows, users and items are about as many as last
    time, and it finds what customers took in the last horizon of the current model's data no worse
    than that does. Otherwise the current model stays, and the exit code is 1.
    """
    from recsys.errors import UsageError
    from recsys.models.base import RunOptions
    from recsys.store.live import default_url
    from recsys.store.retraining import Shares, check_shares, compare, data_for, last_recipe
    from recsys.store.retraining import retrain as run

    if not least <= 1 <= most:
        raise UsageError("--least is at most 1, --most at least 1")
    current, recipe = last_recipe(models)
    opened = opened_store(models, url)
    dataset, recipe = data_for(recipe, opened, url or default_url(models), data)
    options = RunOptions(recipe.seed, device)
    comparison = None
    if not force:
        check_shares(dataset, current.manifest.data, Shares(least, most))
        comparison = compare(current, dataset, recipe, options)
    done = run(models, dataset, recipe, options, comparison)
    if as_json:
        click.echo(json.dumps(_as_json(models / done.version, comparison), indent=2))
        return
    events = dataset.interactions.n_events
    before = current.manifest.data.interactions
    click.echo(f"data      {events:,} interactions, {before:,} last time")
    if comparison is not None:
        click.echo(f"compared  {_line(comparison)}")
    click.echo(f"published {models / done.version}, now current")


def _line(comparison: Comparison) -> str:
    from recsys.store.retraining import METRIC

    return (
        f"{METRIC} {comparison.new:.4f} new, {comparison.current:.4f} current "
        f"(p = {comparison.p_value:.3g}), what {comparison.users:,} customers first took from "
        f"{comparison.cut} on"
    )


def _as_json(folder: Path, comparison: Comparison | None) -> dict[str, object]:
    from dataclasses import asdict

    said = None if comparison is None else asdict(comparison)
    return {"folder": str(folder), "version": folder.name, "comparison": said}
