"""Columns as they were read, not yet understood, and where each row stands in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
    """Named columns of a file or database table, or of a block of its rows.

    Attributes
    ----------
    place
        What messages call it.
    columns
        Chunked Arrow columns of one length, of whatever type they were read as.
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

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[RawTable]:
        """Yield these columns, each to be read as the kind it is, some rows at a time."""


def whole(table: Table, kinds: Mapping[str, Kind]) -> RawTable:
    """Return these columns of a table with all their rows."""
    blocks = list(table.blocks(kinds))

    def exact() -> RawTable:
        return _joined(
            table.place, kinds, [block.exact() if block.exact else block for block in blocks]
        )

    quick = [block for block in blocks if block.exact]
    if quick and len(quick) < len(blocks):  # some could only be read exactly, as text
        return exact()
    return replace(_joined(table.place, kinds, blocks), exact=exact if quick else None)


def _joined(place: str, kinds: Mapping[str, Kind], blocks: Sequence[RawTable]) -> RawTable:
    columns = {}
    for name in kinds:
        chunks = [chunk for block in blocks for chunk in block.columns[name].chunks]
        kind = blocks[0].columns[name].type if blocks else pa.null()
        columns[name] = pa.chunked_array(chunks, kind)
    rows = [block.row_numbers(np.arange(len(block))) for block in blocks]
    return RawTable(
        place,
        columns,
        rows=np.concatenate([np.empty(0, np.int64), *rows]),
        bad=[cell for block in blocks for cell in block.bad],
    )
