"""`recsys anomalies`: accounts and events unlike the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import models_option
from recsys.cli.tables import new_table, plain, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.insight.accounts import Log, OddEvent, StrangeAccount


@click.command()
@models_option
@data_options
@click.option("--limit", default=10, show_default=True, help="How many accounts, and events.")
@click.option("--judge", metavar="MODEL", help="What says what is normal.  [a stern dan-edlae]")
@click.option(
    "--seed",
    default=98765,
    show_default=True,
    type=click.IntRange(min=0),
    help="Deals the accounts into folds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all accounts, ranked, to this .csv or .parquet.",
)
def anomalies(
    *,
    models: Path,
    limit: int,
    judge: str | None,
    seed: int,
    as_json: bool,
    out: Path | None,
    **data_flags: Any,
) -> None:
    """Rank accounts and single events by how unlike the others they are.

    The accounts are those of --data, else those that the current model in --models was trained
    on. Each is judged by a model that has not seen it.
    """
    from recsys.errors import UsageError
    from recsys.insight.accounts import odd_events, strangest_accounts
    from recsys.insight.anomalies import find_anomalies
    from recsys.insight.fit import Judge, fit_of
    from recsys.models.base import RunOptions

    if limit < 0:
        raise UsageError(f"--limit {limit}: it must be 0 or more")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out {out}: name a file that ends in .csv or .parquet")
    judges = (Judge(judge, {}) if judge else Judge(),)
    log = _log(models, data_flags)
    found = find_anomalies(fit_of(log.interactions, judges, RunOptions(seed=seed)))
    accounts = list(strangest_accounts(log, found, limit))
    events = list(odd_events(log, found, limit))
    if out is not None:
        _write(out, strangest_accounts(log, found))
    if as_json:
        print_json(
            {
                "accounts": [asdict(one) for one in accounts],
                "events": [{**asdict(one), "last": _iso(one.last)} for one in events],
            }
        )
        return
    print_table(_accounts(accounts))
    print_table(_events(events))
    click.echo("p: how likely so strange an account is among ordinary ones.")
    if out is not None:
        click.echo(f"{out}: all {len(found.ranking):,} accounts")


def _log(models: Path, flags: dict[str, Any]) -> Log:
    if flags["data"]:
        return dataset_from_flags(flags)
    from recsys.artifacts import load_current

    return load_current(models)


def _iso(time: int | None) -> str | None:
    from recsys.interactions.times import to_iso

    return None if time is None else to_iso(time)


def _accounts(accounts: Iterable[StrangeAccount]) -> Table:
    table = new_table("Strangest accounts")
    table.add_column("account", no_wrap=True)
    for heading in ("items", "p", "p size", "p taste"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("why")
    for one in accounts:
        shares = (f"{p:.1e}" for p in (one.p, one.p_size, one.p_taste))
        table.add_row(plain(one.user), f"{one.items:,}", *shares, plain(one.reason))
    return table


def _events(events: Iterable[OddEvent]) -> Table:
    table = new_table("Oddest events of accounts that else fit")
    for heading in ("account", "item", "last"):
        table.add_column(heading, no_wrap=True)
    table.add_column("title")
    table.add_column("fit", justify="right", no_wrap=True)
    table.add_column("of account", justify="right", no_wrap=True)
    for one in events:
        fits = (f"{fit:.3f}" for fit in (one.fit, one.mean_fit))
        last = (_iso(one.last) or "")[:10]
        table.add_row(plain(one.user), plain(one.item), last, plain(one.title), *fits)
    return table


def _write(out: Path, accounts: Iterable[StrangeAccount]) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from recsys.files import written_aside

    table = pa.Table.from_pylist([asdict(one) for one in accounts])
    with written_aside(out) as aside:
        write = pa_csv.write_csv if out.suffix == ".csv" else pq.write_table
        write(table, aside)
