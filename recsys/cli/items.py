"""`recsys items`: what is said of items while a model serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys.cli.model_options import opened_store, store_options
from recsys.errors import UsageError

if TYPE_CHECKING:
    from recsys.store.items import ItemChanges


@click.group()
def items() -> None:
    """Change titles, categories, prices, stock, blocks."""


@items.command("set")
@click.argument("item")
@store_options
@click.option("--title", help="What to show a person.")
@click.option("--category", metavar="NAME|…", help="One, or several separated by |.")
@click.option("--price", type=float)
@click.option("--in-stock/--out-of-stock", default=None, help="Whether lists may hold it.")
@click.option("--block/--unblock", "blocked", default=None, help="Keep it out of all lists.")
@click.option(
    "--set", "attributes", multiple=True, metavar="NAME=TEXT", help="Another property; repeatable."
)
@click.option(
    "--clear",
    multiple=True,
    metavar="NAME",
    help="Take back a title, category, price or property: the model's counts again; repeatable.",
)
def set_command(
    *,
    item: str,
    models: Path,
    url: str | None,
    title: str | None,
    category: str | None,
    price: float | None,
    in_stock: bool | None,
    blocked: bool | None,
    attributes: Sequence[str],
    clear: Sequence[str],
) -> None:
    """Change what is said of ITEM, and print all that is said of it now.

    What is not named stays as it is. It counts from the next request on, in every process.
    """
    from dataclasses import asdict

    changes = _cleared(clear)
    if title is not None:
        changes["title"] = title
    if category is not None:
        changes["category"] = [name.strip() for name in category.split("|")]
    if price is not None:
        changes["price"] = price
    if in_stock is not None:
        changes["in_stock"] = in_stock
    if blocked is not None:
        changes["blocked"] = blocked
    changes["attributes"] = {
        **(changes.get("attributes") or {}),
        **dict(_attribute(text) for text in attributes),
    }
    state = opened_store(models, url).set_item(item, changes)
    click.echo(json.dumps(asdict(state), indent=2, ensure_ascii=False))


def _cleared(names: Sequence[str]) -> ItemChanges:
    changes: ItemChanges = {}
    if "title" in names:
        changes["title"] = None
    if "category" in names:
        changes["category"] = None
    if "price" in names:
        changes["price"] = None
    own = [name for name in names if name not in ("title", "category", "price")]
    changes["attributes"] = dict.fromkeys(own)
    return changes


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise UsageError(f"--set {text}: write NAME=TEXT, such as colour=red")
    return name, value
