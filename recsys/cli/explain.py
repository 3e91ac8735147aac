"""`recsys explain`: why an item has its score for a user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys.cli.model_options import store_options
from recsys.cli.recommend import at_option
from recsys.cli.tables import new_table, plain, print_json, print_table

if TYPE_CHECKING:
    from recsys.recommender import Explanation


@click.command()
@click.option("--user", required=True, metavar="ID", help="Whose score.")
@click.option("--item", required=True, metavar="ID", help="Of which item.")
@at_option
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
def explain(
    *, user: str, item: str, at: str | None, models: Path, url: str | None, as_json: bool
) -> None:
    """Print how much each item of a user's history adds to an item's score.

    Each is left out in turn, the others keep their weights.
    """
    from recsys.interactions.times import from_iso
    from recsys.store.live import open_live

    reference = None if at is None else from_iso(at, "--at")
    recommender = open_live(models, url)
    found = recommender.explain(user, item, at=reference)
    if as_json:
        print_json(found.shown())
        return
    _print_explanation(found, recommender.title(item))
    click.echo(f"{recommender.model}, version {recommender.version}")


def _print_explanation(found: Explanation, title: str) -> None:
    if not found.because:
        click.echo("Nothing is known of what this user took: the score is how many users took it.")
        click.echo(f"score {found.score:#.4g}")
        return
    table = new_table(f"{title}: score {found.score:#.4g}")
    table.add_column("item", no_wrap=True)
    table.add_column("title")
    table.add_column("adds", justify="right", no_wrap=True)
    for one in found.because:
        table.add_row(plain(one.item), plain(one.title), f"{one.contribution:+#.4g}")
    print_table(table)
