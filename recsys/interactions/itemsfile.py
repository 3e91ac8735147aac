"""The items file: titles, categories, prices, and whatever else it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import DataError
from recsys.ids import IdMap
from recsys.interactions.badrows import BadRows
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.columns import choose, read
from recsys.interactions.parsing import Flaw, Ids, looks, positions_of
from recsys.interactions.readers import USUAL_COLUMNS, ItemsTable
from recsys.interactions.spec import Columns

_NO_CATEGORY = "(no genres listed)"
"""What MovieLens writes for none."""


def read_catalogue(
    listed: ItemsTable, columns: Columns, items: IdMap, bad_rows: BadRows
) -> tuple[Catalogue, int, int]:
    """Return what a table says of the items, how many it lists, and how many of `items`.

    Parameters
    ----------
    listed
        The table and its usual column names.
    columns
        Column names as `dataset.toml` says. The item column may also have its usual name while
        that of the events has another.
    items
        The items in the order of the catalogue; others are left out.
    bad_rows
        What to do with rows that cannot be used.
    """
    table, flags = listed.table, listed.flags
    names, there = _names(listed, columns), table.names()
    further = [name for name in there if name not in names.values()]
    parsed = read(table, names, bad_rows, texts=further, also=partial(_item_flaws, items=items))
    row_of = _rows(parsed.ids["item"], parsed.keep)
    rows = [row_of.get(identifier) for identifier in items.ids]
    spread = pa.array(rows, pa.int64())

    def text(name: str) -> list[str | None]:
        column = _as_text(parsed.raw.columns[name], table.place, name)
        found: list[str | None] = column.take(spread).to_pylist()
        return found

    titles = text(names["title"]) if "title" in names else [None] * len(items)
    prices = np.full(len(items), np.nan)
    if "price" in names:
        known = np.array([row is not None for row in rows], np.bool_)
        prices[known] = parsed.numbers["price"].numbers[[row for row in rows if row is not None]]
    catalogue = Catalogue(
        [title or identifier for title, identifier in zip(titles, items.ids, strict=True)],
        _categories(text(names["category"]))
        if "category" in names
        else _flagged(flags, text, rows),
        prices,
        {name: text(name) for name in further if name not in flags},
    )
    return catalogue, len(row_of), len(items) - rows.count(None)


def read_listed(listed: ItemsTable, columns: Columns, besides: IdMap) -> list[tuple[str, str]]:
    """Return id and title of the items that a table lists besides some, in its order.

    The table is one that `read_catalogue` has found to be without a bad row.
    """
    names = {key: name for key, name in _names(listed, columns).items() if key in ("item", "title")}
    parsed = read(listed.table, names, BadRows(False, Path()))
    row_of = _rows(parsed.ids["item"], parsed.keep)
    titles: list[str | None] = [None] * len(parsed.ids["item"].codes)
    if "title" in names:
        column = parsed.raw.columns[names["title"]]
        titles = _as_text(column, listed.table.place, names["title"]).to_pylist()
    return [(item, titles[row] or item) for item, row in row_of.items() if item not in besides]


def _names(listed: ItemsTable, columns: Columns) -> dict[str, str]:
    """Return the name of each column that is there, by what it means."""
    table, usual, there = listed.table, listed.columns, listed.table.names()
    if columns.item not in there and {usual["item"], USUAL_COLUMNS["item"]} & set(there):
        columns = replace(columns, item=None)
        usual = {**usual, "item": next(n for n in (usual["item"], "item_id") if n in there)}
    return choose(
        table, columns, usual, required=("item",), optional=("title", "category", "price")
    )


def _as_text(column: Any, place: str, name: str) -> Any:
    """Return a column as Arrow strings, null where nothing is written; lists joined by |."""
    column = column.combine_chunks()
    try:
        if pa.types.is_list(column.type):
            column = pc.binary_join(column, "|")
        column = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column {name!r} is of type {column.type}, which cannot be shown as text", file=place
        ) from error
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)


def _rows(ids: Ids, keep: npt.NDArray[np.bool_] | None) -> dict[str, int]:
    """Return the row of each id that the items table lists."""
    texts = ids.texts.to_pylist()
    rows = range(len(ids.codes)) if keep is None else np.flatnonzero(keep).tolist()
    return {texts[ids.codes[row]]: row for row in rows}


def _categories(column: Sequence[str | None]) -> list[tuple[str, ...]]:
    """Cut `Drama|War` into its categories."""
    cut: dict[str | None, tuple[str, ...]] = {None: (), _NO_CATEGORY: ()}
    for cell in set(column) - set(cut):
        cut[cell] = tuple(part.strip() for part in str(cell).split("|") if part.strip())
    return [cut[cell] for cell in column]


def _flagged(
    flags: Sequence[str], text: Callable[[str], list[str | None]], rows: Sequence[int | None]
) -> list[tuple[str, ...]]:
    """Gather the categories of items that have a column for each."""
    if not flags:
        return [()] * len(rows)
    columns = [text(flag) for flag in flags]
    return [
        tuple(flag for flag, cell in zip(flags, cells, strict=True) if cell == "1")
        for cells in zip(*columns, strict=True)
    ]


def _item_flaws(ids: Ids, items: IdMap) -> list[Flaw]:
    """Find items that are listed twice, or that only look different from one of the events."""
    codes = ids.codes.copy()
    for flaw in ids.flaws:
        codes[flaw.positions] = len(ids.texts)
    count = np.bincount(codes, minlength=len(ids.texts) + 1)[:-1]
    flaws = [
        Flaw(positions[1:], "listed a second time, first", like=int(positions[0]))
        for positions in positions_of(codes, np.flatnonzero(count > 1)).values()
    ]
    texts = ids.texts.to_pylist()
    listed = {text for text, times in zip(texts, count, strict=True) if times}
    absent = sorted({*items.ids} - listed)
    if not absent:
        return flaws
    like = dict(zip(looks(pa.array(absent)).to_pylist(), absent, strict=True))
    shapes = looks(ids.texts).to_pylist()
    confused = [
        code for code in np.flatnonzero(count) if shapes[code] in like and texts[code] not in items
    ]
    return flaws + [
        Flaw(
            positions,
            f"though it looks the same, another id than {like[shapes[code]]!a} of the events",
        )
        for code, positions in positions_of(codes, np.array(confused, np.int64)).items()
    ]
