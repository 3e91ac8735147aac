"""Cells that arrive one by one as Python objects (exact CSV, JSON lines, SQL) become columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa

from recsys.interactions.rawtable import BadCell, Kind, RawTable

_BATCH = 100_000
_EXACT = 2**53
"""Floats up to here are exact whole numbers."""


class ObjectColumns:
    """Collects rows of cells into text columns, and the rows that cannot be text.

    Parameters
    ----------
    place
        What messages call the file or table.
    kinds
        The columns, in the order in which `add` gets their cells.
    undecodable
        What to say of text with lone surrogates, which stand for bytes that are no text.
    """

    def __init__(
        self, place: str, kinds: Mapping[str, Kind], undecodable: str = "half a character"
    ) -> None:
        self._undecodable = undecodable
        self._place, self._kinds = place, dict(kinds)
        self._cells: list[list[str | None]] = []
        self._rows: list[int] = []
        self._chunks: list[list[pa.Array]] = [[] for _ in kinds]
        self._row_chunks: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        self._bad: list[BadCell] = []

    def add(self, row: int, cells: Sequence[object]) -> None:
        """Take a row's cells, one a column."""
        texts: list[str | None] = []
        for (name, kind), cell in zip(self._kinds.items(), cells, strict=True):
            try:
                text = cell if isinstance(cell, str) else _text(cell, kind)
                if text is not None and not text.isascii():
                    text.encode("utf-8")
            except UnicodeEncodeError:
                shown = _undecoded(str(cell))
                self._bad.append(BadCell(row, name, shown, self._undecodable))
                return
            except ValueError as error:
                self._bad.append(BadCell(row, name, cell, str(error)))
                return
            texts.append(text)
        self._cells.append(texts)
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()

    def refuse(self, row: int, value: object, reason: str) -> None:
        """Note a row that has no cells to take."""
        self._bad.append(BadCell(row, None, value, reason))

    def table(self) -> RawTable:
        """Return all rows that were added."""
        self._flush()
        columns = {
            name: pa.chunked_array(chunks, pa.string())
            for name, chunks in zip(self._kinds, self._chunks, strict=True)
        }
        rows = np.concatenate([np.empty(0, np.int64), *self._row_chunks])
        return RawTable(self._place, columns, rows=rows, bad=self._bad)

    def _flush(self) -> None:
        for chunks, cells in zip(self._chunks, zip(*self._cells, strict=True), strict=False):
            chunks.append(pa.array(cells, pa.string()))
        self._row_chunks.append(np.array(self._rows, np.int64))
        self._cells, self._rows = [], []


def _undecoded(text: str) -> bytes | str:
    """Return the bytes that were read as lone surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return ascii(text)


def _text(cell: object, kind: Kind) -> str | None:
    """Return a cell as the text that a CSV file would have; ValueError says why there is none."""
    match cell:
        case None:
            return None
        case bool():
            raise ValueError("true or false, which is neither text nor a number")
        case float() | Decimal() if kind in ("id", "text"):
            return _whole_or_text(cell, kind)
        case int() | float() | Decimal():
            return str(cell)
        case date() if kind in ("time", "text"):  # a datetime is one too
            return cell.isoformat()
    raise ValueError(f"of type {type(cell).__name__}")


def _whole_or_text(number: float | Decimal, kind: Kind) -> str:
    """Write 7.0 as 7, which is what it was before a column with a gap made it a float."""
    if math.isfinite(number) and -_EXACT < number < _EXACT and number == int(number):
        return str(int(number))
    if kind == "id":
        raise ValueError("a fraction or a number too large to be exact, so not an id")
    return str(number)
