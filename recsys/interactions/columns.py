"""Finding the columns that are meant, reading them, and sifting out the rows that are bad."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError
from recsys.interactions.badrows import BadRows, sift
from recsys.interactions.parsing import (
    MISSING,
    Flaw,
    IdColumn,
    Ids,
    Numbers,
    parse_ids,
    parse_values,
)
from recsys.interactions.rawtable import Kind, RawTable, Table, whole
from recsys.interactions.spec import Columns, flag_of
from recsys.interactions.timestamps import parse_times

_KINDS: dict[str, Kind] = {
    "user": "id",
    "item": "id",
    "time": "time",
    "value": "value",
    "title": "text",
    "category": "text",
    "price": "value",
}
_MAY_BE_EMPTY = ("price",)

Column = TypeVar("Column", Ids, IdColumn)


@dataclass(frozen=True, eq=False)
class Parsed:
    """A table's columns by `dataset.toml` key, parsed.

    Attributes
    ----------
    raw
        The table as it was read; text columns are taken from there.
    ids, numbers
        One value for each row of `raw`.
    keep
        bool (n,): which rows are good; None for all.
    """

    raw: RawTable
    ids: Mapping[str, Ids]
    numbers: Mapping[str, Numbers]
    keep: npt.NDArray[np.bool_] | None


def choose(
    table: Table,
    columns: Columns,
    usual: Mapping[str, str],
    *,
    required: Sequence[str],
    optional: Sequence[str],
) -> dict[str, str]:
    """Return the column of each key; optional ones only where they are there.

    Raises
    ------
    DataError
        A required column, or one that was named, is not there.
    """
    there, chosen = table.names(), {}
    for key in (*required, *optional):
        named = getattr(columns, key)
        name = named or usual[key]
        if name in there:
            chosen[key] = name
        elif named or key in required:
            raise _missing(table, name, key)
        if there.count(name) > 1:
            raise DataError(
                f"has {there.count(name)} columns named {name!r}",
                file=table.place,
                hint="rename one of them",
            )
    return chosen


def read(
    table: Table,
    names: Mapping[str, str],
    bad_rows: BadRows,
    *,
    texts: Sequence[str] = (),
    also: Callable[[Ids], list[Flaw]] | None = None,
) -> Parsed:
    """Read and parse the columns; bad rows stop everything or are set aside.

    Parameters
    ----------
    table
        Where to read.
    names
        Columns by key.
    bad_rows
        What to do with bad rows.
    texts
        Further columns to read as text.
    also
        Finds further flaws among the items.
    """
    kinds: dict[str, Kind] = dict.fromkeys(texts, "text")
    kinds.update(kinds_of(names))
    raw = whole(table, kinds)
    if not len(raw) and not raw.bad:
        raise DataError("holds no rows", file=table.place, hint="there is nothing to learn from")

    def parse_all_ids(column: Any, place: str, name: str) -> Ids:
        ids = parse_ids(column, place, name)
        return replace(ids, flaws=[*ids.flaws, *also(ids)]) if also else ids

    raw, parsed, flaws = parse(raw, names, parse_all_ids)
    cells, keep = sift(raw, flaws)
    bad_rows.take(table.place, cells)
    ids = {key: value for key, value in parsed.items() if isinstance(value, Ids)}
    numbers = {key: value for key, value in parsed.items() if isinstance(value, Numbers)}
    return Parsed(raw, ids, numbers, keep)


def kinds_of(names: Mapping[str, str]) -> dict[str, Kind]:
    """Return what each column is read as, given the columns by key."""
    return {name: _KINDS[key] for key, name in names.items()}


def parse(
    raw: RawTable, names: Mapping[str, str], parser_of_ids: Callable[[Any, str, str], Column]
) -> tuple[RawTable, dict[str, Column | Numbers], dict[str, list[Flaw]]]:
    """Return a table's columns by key, and its flaws by column; read it exactly if there are any.

    Parameters
    ----------
    raw
        The table, or a block of it.
    names
        Columns by key.
    parser_of_ids
        Takes a column of ids, the table's place and the column's name.
    """
    parsers: dict[Kind, Callable[[Any, str, str], Column | Numbers]] = {
        "id": parser_of_ids,
        "time": parse_times,
        "value": parse_values,
    }
    parsed: dict[str, Column | Numbers] = {}
    flaws: dict[str, list[Flaw]] = {}
    for key, name in names.items():
        if (parser := parsers.get(_KINDS[key])) is None:
            continue
        parsed[key] = parser(raw.columns[name], raw.place, name)
        found = [
            flaw for flaw in parsed[key].flaws if key not in _MAY_BE_EMPTY or flaw.reason != MISSING
        ]
        if found:
            flaws[name] = found
    if flaws and raw.exact:
        return parse(raw.exact(), names, parser_of_ids)
    return raw, parsed, flaws


def _missing(table: Table, column: str, key: str) -> DataError:
    names = table.names()
    if not names:
        problem = "its first row is empty, where the names of the columns should stand"
        return DataError(problem, file=table.place)
    hint = f"name it with {flag_of('columns', key)}, or {key} in [columns] of dataset.toml"
    if len(names) == 1 and (other := next((c for c in ";\t|," if c in names[0]), None)):
        quoted = "$'\\t'" if other == "\t" else f"'{other}'"
        hint = f"if its cells are separated by {other!r}, say --delimiter {quoted}"
    listed = ", ".join(repr(name) for name in names)
    return DataError(
        f"has no column {column!r}; its columns are {listed}", file=table.place, hint=hint
    )
