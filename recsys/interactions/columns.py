"""Finding the columns that are meant, reading them, and sifting out the rows that are bad."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError
from recsys.interactions.badrows import BadRows
from recsys.interactions.parsing import MISSING, Flaw, Ids, Numbers, parse_ids, parse_values
from recsys.interactions.rawtable import Kind, RawTable, Table
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
    kinds.update({name: _KINDS[key] for key, name in names.items()})
    raw = table.read(kinds)
    if not len(raw) and not raw.bad:
        raise DataError("holds no rows", file=table.place, hint="there is nothing to learn from")
    parsed, flaws = _parse(raw, names, also)
    if raw.exact and any(flaws.values()):
        raw = raw.exact()
        parsed, flaws = _parse(raw, names, also)
    keep = bad_rows.sift(raw, flaws)
    ids = {key: value for key, value in parsed.items() if isinstance(value, Ids)}
    numbers = {key: value for key, value in parsed.items() if isinstance(value, Numbers)}
    return Parsed(raw, ids, numbers, keep)


def _parse(
    raw: RawTable, names: Mapping[str, str], also: Callable[[Ids], list[Flaw]] | None
) -> tuple[dict[str, Ids | Numbers], dict[str, list[Flaw]]]:
    parsers: dict[Kind, Callable[[Any, str, str], Ids | Numbers]] = {
        "id": parse_ids,
        "time": parse_times,
        "value": parse_values,
    }
    parsed: dict[str, Ids | Numbers] = {}
    flaws: dict[str, list[Flaw]] = {}
    for key, name in names.items():
        if (parser := parsers.get(_KINDS[key])) is None:
            continue
        result = parser(raw.columns[name], raw.place, name)
        parsed[key] = result
        found = [
            flaw for flaw in result.flaws if key not in _MAY_BE_EMPTY or flaw.reason != MISSING
        ]
        if also and key == "item" and isinstance(result, Ids):
            found += also(result)
        if found:
            flaws[name] = found
    return parsed, flaws


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
