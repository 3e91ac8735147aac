"""`recsys campaign results`: who bought after a campaign, against those who were held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys.cli.tables import new_table, plain, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.campaigns.outcome import ArmOutcome, Estimate, Results

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_FILE)
@click.option(
    "--purchases", required=True, type=_FILE, help="One a row: .parquet, .csv, .jsonl, a folder."
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True, max=36_500),
    default=30.0,
    show_default=True,
    help="How long purchases count.",
)
@click.option("--since", metavar="TIME", help="From when on [the campaign's reference time].")
@click.option("--user-column", default="user_id", show_default=True, help="Who bought.")
@click.option("--time-column", default="timestamp", show_default=True, help="When.")
@click.option("--value-column", help="For how much; without it there is no revenue.")
@click.option("--json", "as_json", is_flag=True, help="Print it for a program.")
def results(
    *,
    run: Path,
    purchases: Path,
    days: float,
    since: str | None,
    user_column: str,
    time_column: str,
    value_column: str | None,
    as_json: bool,
) -> None:
    """Report what users of the finished campaign in the folder RUN bought afterwards.

    Users who were to be sent are compared with those of the same arm who were eligible and held
    out, whatever the mail tool made of it.
    """
    from recsys.campaigns.outcome import results_of
    from recsys.campaigns.purchases import PurchaseColumns
    from recsys.interactions.times import from_iso

    columns = PurchaseColumns(user_column, time_column, value_column)
    start = None if since is None else from_iso(since, "--since")
    found = results_of(run, purchases, columns, days=days, since=start)
    if as_json:
        print_json(found.shown())
        return
    _print(found)


def _print(found: Results) -> None:
    table = new_table(f"{found.campaign}: bought from {found.since} to before {found.until}")
    table.add_column("arm", no_wrap=True)
    table.add_column("group", no_wrap=True)
    for name in ("users", "bought", "conversion", "revenue per user"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in (*found.arms, found.whole):
        _add(table, one)
    print_table(table)
    others = f", {found.others:,} of them in neither group" if found.others else ""
    click.echo(f"{found.purchases:,} purchases in the window by {found.buyers:,} buyers{others}.")
    click.echo("In brackets: 95 % intervals. A difference whose interval holds 0 may be chance.")
    for note in found.notes:
        click.echo(f"Note: {note}.")


def _add(table: Table, one: ArmOutcome) -> None:
    arm = "all" if one.arm is None else plain(one.arm)
    for name, group in (("sent", one.sent), ("held out", one.held_out)):
        table.add_row(
            arm,
            name,
            f"{group.users:,}",
            f"{group.buyers:,}",
            _share(group.conversion),
            _money(group.revenue),
        )
        arm = ""
    table.add_row(
        "", "difference", "", "", _share(one.conversion, "+"), _money(one.revenue, "+"),
        style="bold", end_section=True,
    )  # fmt: skip


def _share(found: Estimate | None, sign: str = "") -> str:
    return _shown(found, f"{sign}.2%")


def _money(found: Estimate | None, sign: str = "") -> str:
    return _shown(found, f"{sign},.2f")


def _shown(found: Estimate | None, form: str) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return format(found.value, form)
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"
