"""What is said of items while the model serves: titles, prices, stock, blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import sqlalchemy as sa

from recsys.errors import DataError
from recsys.store.events import check_id
from recsys.store.schema import items, meta

LONGEST_TEXT = 1000
"""Characters that a title, a category or an attribute may have."""


class ItemChanges(TypedDict, total=False):
    """What to change of an item; what is not named stays as it is.

    None takes back a title, category or price: then what the model was trained with counts again.
    An attribute that is None is taken back.
    """

    title: str | None
    category: Sequence[str] | None
    price: float | None
    attributes: Mapping[str, str | None]
    in_stock: bool
    blocked: bool


@dataclass(frozen=True)
class ItemState:
    """What the store says of an item; None where it says nothing.

    Attributes
    ----------
    item
        Its id.
    title, category, price
        As a catalogue has them.
    attributes
        Further properties by name, as text.
    in_stock, blocked
        An item that is not in stock, or is blocked, stands in no list.
    """

    item: str
    title: str | None = None
    category: tuple[str, ...] | None = None
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    in_stock: bool = True
    blocked: bool = False


def change(connection: sa.Connection, item: str, changes: ItemChanges) -> ItemState:
    """Change an item, known or not, and return what it is now.

    Raises
    ------
    DataError
        A text too long, a price that is no price, a category with a |.
    """
    check_id(item, "item")
    _check(changes)
    version = next_version(connection, "items")
    row = connection.execute(sa.select(items).where(items.c.item_id == item)).mappings().first()
    now = {"attributes": {}, "in_stock": True, "blocked": False, **(row or {"item_id": item})}
    said = dict(changes)
    if "category" in said and changes["category"] is not None:
        said["category"] = list(changes["category"])
    merged = {**now["attributes"], **changes.get("attributes", {})}
    said["attributes"] = {name: text for name, text in merged.items() if text is not None}
    now |= {**said, "version": version}
    if row is None:
        connection.execute(sa.insert(items), now)
    else:
        connection.execute(sa.update(items).where(items.c.item_id == item).values(now))
    return _state({"title": None, "category": None, "price": None, **now})


def changed_since(connection: sa.Connection, version: int) -> list[ItemState]:
    """Return the items that changed after the counter stood at `version`."""
    found = connection.execute(
        sa.select(items).where(items.c.version > version).order_by(items.c.item_id)
    )
    return [_state(dict(row)) for row in found.mappings()]


def next_version(connection: sa.Connection, counter: str) -> int:
    """Raise a counter of `meta`; who does it next waits for this transaction."""
    number: int = connection.execute(
        sa.update(meta)
        .where(meta.c.name == counter)
        .values(number=meta.c.number + 1)
        .returning(meta.c.number)
    ).scalar_one()
    return number


def _state(row: Mapping[str, Any]) -> ItemState:
    category = None if row["category"] is None else tuple(row["category"])
    return ItemState(
        row["item_id"],
        row["title"],
        category,
        row["price"],
        row["attributes"],
        row["in_stock"],
        row["blocked"],
    )


def _check(changes: ItemChanges) -> None:
    attributes = changes.get("attributes") or {}
    categories = changes.get("category") or ()
    texts = {"title": [changes.get("title")], "category": categories}
    texts["attributes"] = [*attributes, *attributes.values()]
    for name, found in texts.items():
        for text in found:
            if text is not None and (len(text) > LONGEST_TEXT or "\0" in text):
                raise DataError(f"more than {LONGEST_TEXT} characters", column=name, value=text)
    for text in categories:
        if not text.strip() or "|" in text:
            raise DataError("a category is a name without |", column="category", value=text)
    price = changes.get("price")
    if price is not None and not (0 <= price < math.inf):
        raise DataError("a price is a number from 0 on", column="price", value=price)
