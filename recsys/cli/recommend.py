"""`recsys recommend` and `recsys similar`: ask the current model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.recommender import Fallback, HistoryItem, Recommendation, Recommender, Suggestion

Command = TypeVar("Command", bound=Callable[..., Any])


def _common(command: Command) -> Command:
    """Add the options of every command that asks a model."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what the API answers."),
        click.option(
            "--models",
            type=click.Path(path_type=Path),
            default=Path("models"),
            show_default=True,
            help="Folder of published models.",
        ),
        click.option("--k", default=10, show_default=True, help="How many items, 1 to 1000."),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--user", required=True, metavar="ID", help="Whom to recommend to.")
@_common
@click.option("--category", metavar="NAME", help="Only items of this category.")
@click.option("--exclude", default="", metavar="ID,…", help="Items to leave out.")
@click.option("--include-seen", is_flag=True, help="Let items of the history come back.")
@click.option(
    "--fallback",
    type=click.Choice(["popular", "none"]),
    default="popular",
    show_default=True,
    help="What an unknown user gets; none fails.",
)
@click.option(
    "--at", metavar="TIME", help="Date or time that ages count from [default: the data's]"
)
def recommend(
    *,
    user: str,
    k: int,
    models: Path,
    category: str | None,
    exclude: str,
    include_seen: bool,
    fallback: Fallback,
    at: str | None,
    as_json: bool,
) -> None:
    """Print a user's recommendations beside what the user took."""
    from recsys.interactions.times import from_iso
    from recsys.recommender import Recommender, Rules

    rules = Rules(category, frozenset(filter(None, exclude.split(","))), include_seen)
    reference = None if at is None else from_iso(at, "--at")
    recommender = Recommender.open(models)
    found = recommender.recommend(user, k=k, rules=rules, fallback=fallback, at=reference)
    if as_json:
        _print_json(recommender.answer(found))
    else:
        _print_recommendation(recommender, user, found, k)


@click.command()
@click.option("--item", required=True, metavar="ID", help="What to be similar to.")
@_common
def similar(item: str, k: int, models: Path, as_json: bool) -> None:
    """Print the items that suit someone of whom only this item is known."""
    from recsys.recommender import Recommender

    recommender = Recommender.open(models)
    found = recommender.similar(item, k=k)
    if as_json:
        _print_json(recommender.similar_answer(item, found))
        return
    title = recommender.catalogue.titles[recommender.items.ids.index(item)]
    _print(_suggestions(f"Similar to {title}", found))


def _print_recommendation(
    recommender: Recommender, user: str, found: Recommendation, k: int
) -> None:
    from rich.table import Table

    popular = found.basis == "popular"
    tables = [_suggestions("Popular items" if popular else "Recommended", found.items)]
    if user in recommender.users:
        tables.insert(0, _history(f"Taken by {user}", recommender.history(user), max(k, 10)))
    side_by_side = Table.grid(padding=(0, 3))
    side_by_side.add_row(*tables)
    _print(side_by_side)
    if popular:
        click.echo(f"Nothing is known of user {user}, so these are the most popular items.")
    if found.note is not None:
        click.echo(f"Note: {found.note}.")
    click.echo(f"{recommender.model}, version {recommender.version}")


def _suggestions(heading: str, suggestions: Sequence[Suggestion]) -> Table:
    table = _table(heading)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("item", no_wrap=True)
    table.add_column("title")
    table.add_column("score", justify="right", no_wrap=True)
    for one in suggestions:
        table.add_row(str(one.rank), _plain(one.item), _plain(one.title), f"{one.score:.4g}")
    return table


def _history(heading: str, history: Sequence[HistoryItem], most: int) -> Table:
    from recsys.interactions.times import to_iso

    table = _table(heading)
    table.add_column("last", no_wrap=True)
    table.add_column("title")
    table.add_column("times", justify="right", no_wrap=True)
    for one in history[:most]:
        last = "" if one.last is None else to_iso(one.last)[:10]
        table.add_row(last, _plain(one.title), str(one.times))
    if len(history) > most:
        table.add_row("", f"… and {len(history) - most} more", "")
    return table


def _table(heading: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=_plain(heading), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _plain(text: str) -> str:
    """Return outside text so that it is shown as it is: not as markup, nor as terminal commands."""
    from rich.markup import escape

    return escape(
        "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    )


def _print(table: Table) -> None:
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def _print_json(answer: dict[str, Any]) -> None:
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))
