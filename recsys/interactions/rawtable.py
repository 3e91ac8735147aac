"""Columns as they were read, not yet understood, and where each row stands in its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from recsys.interactions.tables import LongArray

Kind = Literal["id", "time", "value", "text"]
"""What a column will be read as; readers may use it to choose a faster way."""


@dataclass(frozen=True)
class BadCell:
    """A row, or one cell of it, that cannot be used.

    Attributes
    ----------
    row
        As a spreadsheet counts: a header is row 1. Rows without a header count from 1.
    column
        The column at fault; None where it is the row itself.
    value
        What stands there; None where it is empty.
    reason
        What is wrong with it.
    """

    row: int
    column: str | None
    value: object
    reason: str


@dataclass(frozen=True, eq=False)
class RawTable:
    """Named columns of one file or database table.

    Attributes
    ----------
    place
        What messages call it.
    columns
        Arrow columns of one length, of whatever type they were read as.
    first_row
        Number of the first row, where rows follow each other without a gap.
    rows
        int64 (n,): the number of each row, where they do not.
    bad
        Rows that are not in `columns`, since they could not be cut into cells.
    exact
        Reads the same again, slower, with true row numbers and the cells' own text; None where
        this is that already.
    """

    place: str
    columns: Mapping[str, Any]
    first_row: int = 1
    rows: LongArray | None = None
    bad: Sequence[BadCell] = ()
    exact: Callable[[], RawTable] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return max((len(column) for column in self.columns.values()), default=0)

    def row_numbers(self, positions: npt.NDArray[np.integer]) -> LongArray:
        """Return the number in the file of the rows at these positions."""
        if self.rows is None:
            return np.asarray(positions + self.first_row, np.int64)
        return np.asarray(self.rows[positions], np.int64)


class Table(Protocol):
    """Something that has named columns: a file, a database table, a query."""

    place: str

    def names(self) -> list[str]:
        """Return the names of the columns there are."""

    def read(self, kinds: Mapping[str, Kind]) -> RawTable:
        """Return these columns, each to be read as the kind it is."""
