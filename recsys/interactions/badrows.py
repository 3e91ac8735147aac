"""Rows that cannot be used: the first few in one error, or all of them in a side file."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys.errors import DataError
from recsys.files import written_aside
from recsys.interactions.parsing import Flaw
from recsys.interactions.rawtable import BadCell, RawTable

_SHOWN = 5
_WRITTEN = 1000


class BadRows:
    """What `--on-bad-rows` means: the default raises, `skip` collects.

    Parameters
    ----------
    skip
        Whether bad rows are set aside; otherwise the first ones stop everything.
    path
        Where to list those that are set aside: file, row, column, value, reason.
    """

    def __init__(self, skip: bool, path: Path) -> None:
        self.path, self.count = path, 0
        self._skip = skip
        self._found: list[tuple[str, BadCell]] = []

    def take(self, place: str, cells: Sequence[BadCell]) -> None:
        """Take all the bad rows of a table.

        Raises
        ------
        DataError
            There are some, and they are not to be skipped.
        """
        if not cells:
            return
        rows = len({cell.row for cell in cells})
        ordered = sorted(cells, key=lambda cell: cell.row)
        if not self._skip:
            raise _stopped(place, ordered, rows)
        self._found += [(place, cell) for cell in ordered]
        self.count += rows
        self._write()

    def _write(self) -> None:
        with (
            written_aside(self.path) as aside,
            aside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(["file", "row", "column", "value", "reason"])
            writer.writerows(
                [place, cell.row, cell.column or "", _shown(cell.value), cell.reason]
                for place, cell in self._found
            )


def sift(
    raw: RawTable, flaws: Mapping[str, Sequence[Flaw]]
) -> tuple[list[BadCell], npt.NDArray[np.bool_] | None]:
    """Return the bad rows of a table or block, and which of the others to keep, None for all.

    Parameters
    ----------
    raw
        The table or block; its own bad rows are among those returned.
    flaws
        What parsing found, by column.
    """
    cells = list(raw.bad)
    keep = np.ones(len(raw), np.bool_)
    for column, found in flaws.items():
        for flaw in found:
            keep[flaw.positions] = False
            cells += _cells(raw, column, flaw)
    return cells, None if keep.all() else keep


def bad_rows_file(name: str) -> Path:
    """Return where a data set's bad rows are listed: NAME.bad-rows.csv in the current folder."""
    safe = re.sub(r"[^\w.-]+", "-", name)
    return Path(f"{safe}.bad-rows.csv")


def _cells(raw: RawTable, column: str, flaw: Flaw) -> list[BadCell]:
    reason = flaw.reason
    if flaw.like is not None:
        reason += f" in row {raw.row_numbers(np.array([flaw.like]))[0]}"
    cells = raw.columns[column].take(flaw.positions)
    if pa.types.is_temporal(cells.type):  # off Python's calendar, so shown as the number it is
        cells = cells.cast(pa.int32() if pa.types.is_date32(cells.type) else pa.int64())
    values = cells.to_pylist()
    rows = raw.row_numbers(flaw.positions).tolist()
    return [BadCell(row, column, value, reason) for row, value in zip(rows, values, strict=True)]


def _stopped(place: str, cells: Sequence[BadCell], rows: int) -> DataError:
    first = cells[0]
    hint = "mend it, or leave such rows out with --on-bad-rows skip"
    if rows > 1:
        more = [
            str(DataError(cell.reason, row=cell.row, column=cell.column, value=cell.value))
            for cell in cells[1:_SHOWN]
        ]
        hint = "\n  also ".join([f"{hint} ({rows:,} bad rows in all)", *more])
    return DataError(
        first.reason,
        file=place,
        row=first.row,
        column=first.column,
        value=first.value,
        hint=hint,
    )


def _shown(value: object) -> str:
    """Write a value as text, cut so that one hostile cell cannot fill the disk."""
    text = "" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= _WRITTEN else f"{text[:_WRITTEN]}…"
