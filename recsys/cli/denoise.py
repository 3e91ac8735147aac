"""`recsys denoise`: a data set without the events that nobody meant."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.tables import print_json


@click.command()
@data_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="New folder for the cleaned data set.",
)
@click.option(
    "--share", default=0.2, show_default=True, help="Share of the pairs to take out, at most."
)
@click.option(
    "--judge", metavar="MODEL", help="What says what is normal.  [two of dan-edlae, one stern]"
)
@click.option(
    "--seed",
    default=98765,
    show_default=True,
    type=click.IntRange(min=0),
    help="Deals the accounts into folds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def denoise(
    *,
    out: Path,
    share: float,
    judge: str | None,
    seed: int,
    as_json: bool,
    **data_flags: Any,
) -> None:
    """Write a data set without the events that fit worst, and a list of those.

    A pair of user and item that has events on several days is kept, and so is each user's best
    item. The data set itself stays as it is.
    """
    from recsys.errors import UsageError
    from recsys.insight.cleaned import REMOVED, check_folder, write_cleaned
    from recsys.insight.denoising import JUDGES, check_share, find_noise
    from recsys.insight.fit import Judge, fit_of
    from recsys.models.base import RunOptions

    check_share(share)
    check_folder(out)
    judges = (Judge(judge, {}),) if judge else JUDGES
    dataset = dataset_from_flags(data_flags)
    if dataset.test is not None:
        raise UsageError("--data: a published split has no events to take out; name a log")
    fit = fit_of(dataset.interactions, judges, RunOptions(seed=seed))
    cleaned = write_cleaned(out, dataset, find_noise(dataset.interactions, fit, share))
    if as_json:
        print_json({"folder": str(out), "removed": str(out / REMOVED), **asdict(cleaned)})
        return
    click.echo(f"taken out {cleaned.removed_pairs:,} of {cleaned.pairs:,} pairs of user and item")
    click.echo(f"          {cleaned.removed_events:,} of {cleaned.events:,} events")
    if cleaned.items_gone:
        click.echo(f"          items that have no events now: {cleaned.items_gone:,}")
    click.echo(f"kept      {cleaned.again:,} pairs had events on several days")
    click.echo(f"written   {out}, what was taken out and why: {out / REMOVED}")
