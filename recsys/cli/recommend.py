"""`recsys recommend` and `recsys similar`: ask the current model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from recsys.cli.model_options import models_option, store_option
from recsys.cli.rule_options import rule_options, rules_of
from recsys.cli.tables import new_table, plain, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.recommender import Fallback, HistoryItem, Recommendation, Recommender, Suggestion

at_option = click.option(
    "--at", metavar="TIME", help="Date or time that ages count from [default: the data's]"
)

Command = TypeVar("Command", bound=Callable[..., Any])


def _common(command: Command) -> Command:
    """Add the options of every command that asks a model."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what the API answers."),
        store_option,
        models_option,
        click.option("--k", default=10, show_default=True, help="How many items, 1 to 1000."),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--user", required=True, metavar="ID", help="Whom to recommend to.")
@_common
@rule_options
@click.option(
    "--fallback",
    type=click.Choice(["popular", "none"]),
    default="popular",
    show_default=True,
    help="What an unknown user gets; none fails.",
)
@at_option
@click.option("--why", is_flag=True, help="Say what of the history adds most to each score.")
@click.option(
    "--uncertainty", is_flag=True, help="Say how likely each item is taken, how stable its place."
)
def recommend(
    *,
    user: str,
    k: int,
    models: Path,
    url: str | None,
    fallback: Fallback,
    at: str | None,
    why: bool,
    uncertainty: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Print a user's recommendations beside what the user took."""
    from recsys.interactions.times import from_iso
    from recsys.store.live import open_live

    rules = rules_of(**flags)
    reference = None if at is None else from_iso(at, "--at")
    recommender = open_live(models, url)
    found = recommender.recommend(
        user,
        k=k,
        rules=rules,
        fallback=fallback,
        at=reference,
        why=why,
        uncertainty=uncertainty,
    )
    if as_json:
        print_json(recommender.answer(found))
    else:
        _print_recommendation(recommender, user, found, k)


@click.command()
@click.option("--item", required=True, metavar="ID", help="What to be similar to.")
@_common
def similar(item: str, k: int, models: Path, url: str | None, as_json: bool) -> None:
    """Print the items that suit someone of whom only this item is known."""
    from recsys.store.live import open_live

    recommender = open_live(models, url)
    found = recommender.similar(item, k=k)
    if as_json:
        print_json(recommender.similar_answer(item, found))
        return
    print_table(_suggestions(f"Similar to {recommender.title(item)}", found))


def _print_recommendation(
    recommender: Recommender, user: str, found: Recommendation, k: int
) -> None:
    from rich.table import Table

    popular = found.basis == "popular"
    heading = "Popular items" if popular else "Recommended"
    tables = [_suggestions(heading, found.items, uncertainty=found.uncertainty)]
    if recommender.known([user])[0]:
        tables.insert(0, _history(f"Taken by {user}", recommender.history(user), max(k, 10)))
    side_by_side = Table.grid(padding=(0, 3))
    side_by_side.add_row(*tables)
    print_table(side_by_side)
    if found.basis == "trained-history":
        click.echo("The store does not answer: only what the model was trained on counts.")
    if popular:
        click.echo(f"Nothing is known of user {user}, so these are the most popular items.")
    if found.note is not None:
        click.echo(f"Note: {found.note}.")
    click.echo(f"{recommender.model}, version {recommender.version}")


def _suggestions(
    heading: str, suggestions: Sequence[Suggestion], *, uncertainty: bool = False
) -> Table:
    table = new_table(heading)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("item", no_wrap=True)
    table.add_column("title")
    table.add_column("score", justify="right", no_wrap=True)
    if uncertainty:
        for figure in ("probability", "stability"):
            table.add_column(figure, justify="right", no_wrap=True)
    explained = any(one.because is not None for one in suggestions)
    if explained:
        table.add_column("because of")
    for one in suggestions:
        title = f"{plain(one.title)} (new)" if one.new else plain(one.title)
        cells = [str(one.rank), plain(one.item), title, f"{one.score:#.4g}"]
        if uncertainty:
            shares = (one.probability, one.stability)
            cells += ["–" if share is None else f"{share:.0%}" for share in shares]
        if explained:
            cells.append("\n".join(plain(each.title) for each in one.because or ()))
        table.add_row(*cells)
    return table


def _history(heading: str, history: Sequence[HistoryItem], most: int) -> Table:
    from recsys.interactions.times import to_iso

    table = new_table(heading)
    table.add_column("last", no_wrap=True)
    table.add_column("title")
    table.add_column("times", justify="right", no_wrap=True)
    for one in history[:most]:
        last = "" if one.last is None else to_iso(one.last)[:10]
        table.add_row(last, plain(one.title), str(one.times))
    if len(history) > most:
        table.add_row("", f"… and {len(history) - most} more", "")
    return table
