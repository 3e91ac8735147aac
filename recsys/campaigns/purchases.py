"""What people bought within some days, read from a file of purchases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys.campaigns.sources import USER, Block, Reading, named
from recsys.errors import DataError
from recsys.interactions.parsing import Numbers, parse_values
from recsys.interactions.timestamps import parse_times
from recsys.progress import progress


@dataclass(frozen=True)
class PurchaseColumns:
    """What the columns of a file of purchases are called; there need be no value."""

    user: str = USER
    time: str = "timestamp"
    value: str | None = None


class Bought:
    """What everyone bought within a window.

    Parameters
    ----------
    columns
        What the file's columns are called.
    start, end
        Purchases from `start` to before `end` count, microseconds since 1970 UTC.

    Attributes
    ----------
    buyers
        Who bought something; one that was given back, of a value below 0, is no purchase.
    revenue
        What each spent in sum.
    newest
        The newest purchase of all; None without any.
    rows
        How many rows of the file lie within the window.
    """

    def __init__(self, columns: PurchaseColumns, start: int, end: int) -> None:
        self._columns, self.start, self.end = columns, start, end
        self._forms: frozenset[str] = frozenset()
        self.newest: int | None = None
        self.rows = 0
        self.buyers: set[str] = set()
        self.revenue: defaultdict[str, float] = defaultdict(float)

    def read(self, purchases: Path) -> None:
        """Read a file, or a folder of files, of purchases, one a row.

        Raises
        ------
        DataError
            It cannot be read, a column is missing, or a cell is no time or no number.
        """
        with progress("reading", None) as bar:
            for block in Reading(purchases).blocks():
                self._add(block)
                bar.advance(len(block.rows))

    def _add(self, block: Block) -> None:
        rows = named(block, self._columns.user)
        times = self._times(block, rows)
        if len(times):
            newest = int(times.max())
            self.newest = newest if self.newest is None else max(self.newest, newest)
        within = (times >= self.start) & (times < self.end)
        self.rows += int(within.sum())
        within &= ~np.asarray(rows[USER].is_null().to_numpy())
        users = rows[USER].filter(pa.array(within)).to_pylist()
        if self._columns.value is None:
            self.buyers.update(users)
            return
        name = self._columns.value
        values = _numbers(block, rows, name, "--value-column", parse_values).numbers[within]
        for user, value in zip(users, values.tolist(), strict=True):
            self.revenue[user] += value
            if value > 0:
                self.buyers.add(user)

    def _times(self, block: Block, rows: pa.Table) -> npt.NDArray[np.int64]:
        name = self._columns.time
        found = _numbers(block, rows, name, "--time-column", parse_times)
        self._forms |= found.forms
        if len(self._forms) > 1:
            forms = " and ".join(sorted(self._forms))
            raise DataError(f"holds {forms}", file=block.file, column=name, hint="write one kind")
        return found.numbers


def _numbers(
    block: Block,
    rows: pa.Table,
    name: str,
    flag: str,
    parse: Callable[[Any, str, str], Numbers],
) -> Numbers:
    """Return a column of times or values; refuse a cell that is none."""
    if name not in rows.column_names:
        raise DataError(
            f"has no column {name!r}; its columns are {', '.join(map(repr, rows.column_names))}",
            file=block.file,
            hint=f"name the right one with {flag}",
        )
    column = rows[name]
    found = parse(column, block.file, name)
    for flaw in found.flaws:
        place = int(flaw.positions[0])
        raise DataError(
            flaw.reason,
            file=block.file,
            row=block.numbers[place].as_py(),
            column=name,
            value=column[place].as_py(),
        )
    return found
