"""Text files: CSV and its kin, and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from recsys.errors import DataError
from recsys.interactions.objects import ObjectColumns
from recsys.interactions.rawtable import Kind, RawTable
from recsys.interactions.textblocks import text_blocks


class DelimitedFile:
    """A CSV or TSV file, gzipped or not, or one of MovieLens' text files.

    Parameters
    ----------
    path
        The file; `.gz` is unpacked block by block.
    delimiter
        One character, or several that stand together (`::`), which switches quoting off.
    encoding
        Character encoding; None is UTF-8, with or without a byte order mark.
    header
        Names of the columns, where the file has no header row.
    """

    def __init__(
        self,
        path: Path,
        delimiter: str,
        encoding: str | None = None,
        header: tuple[str, ...] | None = None,
    ) -> None:
        self.path, self.place = path, str(path)
        self._delimiter, self._header = delimiter, header
        self._encoding = None if encoding in ("utf-8", "utf8", "UTF-8") else encoding
        self._quoted = len(delimiter) == 1 and header is None

    def names(self) -> list[str]:
        """Return the names in the header row."""
        return list(self._first[0] if self._header is None else self._header)

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[RawTable]:
        """Yield these columns, by pyarrow where the text allows it."""
        types, before = self._types(kinds), 0
        for block in self._blocks():
            exact = partial(self._exact, kinds, block, before)
            columns = self._quickly(kinds, types, block, before)
            header = before == 0 and self._header is None
            if columns is None:
                table = exact()
            else:
                table = RawTable(self.place, columns, before + 1 + header, exact=exact)
            yield table
            rows = len(table) + len(table.bad) + header
            # empty records and those of several lines are rare, and slow to count
            before += (
                rows if rows == _lines(block) else sum(1 for _ in self._records(block, before))
            )

    def _quickly(
        self, kinds: Mapping[str, Kind], types: Mapping[str, Any], block: bytes, before: int
    ) -> dict[str, Any] | None:
        """Return a block's columns as pyarrow reads them; None where it cannot."""
        delimiter, names = self._delimiter, self.names()
        quotes = block.count(b'"') if self._quoted and b'"' in block else 0
        if len(set(delimiter)) > 1 or not delimiter.isascii() or quotes % 2:
            return None
        if len(delimiter) > 1:  # a::b read as cells apart by one colon has an empty one between
            spaced = [[name, *(f"\n{name}{gap}" for gap in delimiter[1:])] for name in names]
            names = [name for group in spaced for name in group][: 1 - len(delimiter)]
        header = before == 0 and self._header is None
        try:
            table = pacsv.read_csv(
                pa.BufferReader(block),
                read_options=pacsv.ReadOptions(
                    column_names=None if header and self._quoted else names,
                    skip_rows=1 if header and not self._quoted else 0,
                    block_size=1 << 20,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=delimiter[0],
                    quote_char='"' if quotes else False,
                    newlines_in_values=bool(quotes),
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=list(kinds),
                    column_types=types,
                    null_values=[""],
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError):
            return None
        return {name: table.column(name) for name in kinds}

    def _types(self, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """Choose what pyarrow reads each column as; a cell that is not so sends it to `_exact`."""
        types: dict[Kind, Any] = {
            "id": pa.string(),
            "value": pa.float64(),
            "time": pa.string(),
            "text": pa.string(),
        }
        chosen = {name: types[kind] for name, kind in kinds.items()}
        first = self._first[0 if self._header else 1 :]
        for name, cell in zip(self.names(), next(iter(first), []), strict=False):
            if kinds.get(name) == "time" and cell.strip().isdecimal():
                chosen[name] = pa.int64()
        return chosen

    @cached_property
    def _first(self) -> list[list[str]]:
        """The first two records: names and cells, or cells alone."""
        first = next(self._blocks())
        return [*islice(self._records(first, 0), 2), [], []][:2]

    def _blocks(self) -> Iterator[bytes]:
        return text_blocks(self.path, self._encoding, self._delimiter if self._quoted else None)

    def _records(self, block: bytes, before: int) -> Iterator[list[str]]:
        """Yield a block's records as cells; an empty line is a record without cells.

        Bytes that are no text become lone surrogates, so that their row can be named.
        """
        record = before
        stream = io.TextIOWrapper(
            io.BytesIO(block),
            encoding="utf-8",
            errors="surrogatepass" if self._encoding else "surrogateescape",
            newline="",
        )
        try:
            for record, cells in enumerate(self._cut(stream, block), start=before + 1):  # noqa: B007
                yield cells
        except csv.Error as error:
            raise DataError(
                f"its quotation marks do not match ({error})",
                file=self.place,
                row=record + 1,
                hint='close every " that opens a cell, and write "" for one within',
            ) from error

    def _cut(self, stream: io.TextIOWrapper, block: bytes) -> Iterator[list[str]]:
        """Cut text into records of cells."""
        if len(self._delimiter) > 1:
            lines = (line.rstrip("\r\n") for line in stream)
            return (line.split(self._delimiter) if line else [] for line in lines)
        return csv.reader(
            stream,
            delimiter=self._delimiter,
            quoting=csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE,
            strict=self._quoted and block.count(b'"') % 2 == 1,
        )

    def _exact(self, kinds: Mapping[str, Kind], block: bytes, before: int) -> RawTable:
        """Read record by record, as text, knowing where each one stands."""
        names = self.names()
        told = "" if self._encoding else "; try --encoding latin-1"
        columns = ObjectColumns(
            self.place, kinds, undecodable=f"not {self._encoding or 'UTF-8'} text{told}"
        )
        at = [names.index(name) for name in kinds]
        first = 1 if self._header else 2
        for row, cells in enumerate(self._records(block, before), start=before + 1):
            if row < first or not cells:
                continue
            if len(cells) == len(names):
                columns.add(row, [cells[position] for position in at])
            else:
                columns.refuse(
                    row,
                    self._delimiter.join(cells),
                    f"{_cells(len(cells))}, where the header has {len(names)}",
                )
        return columns.table()


@dataclass(frozen=True)
class _Refused:
    """A line that is no JSON object."""

    line: str | bytes
    reason: str


class JsonLines:
    """A file with one JSON object a line, gzipped or not."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path, self.place = path, str(path)
        self._encoding = encoding

    def names(self) -> list[str]:
        """Return every key that some object has, the commonest first."""
        return self._names

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[RawTable]:
        """Yield these keys as columns."""
        for block in self._blocks():
            columns = ObjectColumns(self.place, kinds)
            for row, entry in block:
                if isinstance(entry, _Refused):
                    columns.refuse(row, entry.line, entry.reason)
                else:
                    columns.add(row, [entry.get(name) for name in kinds])
            yield columns.table()

    @cached_property
    def _names(self) -> list[str]:
        keys: Counter[str] = Counter()
        refused: list[tuple[int, _Refused]] = []
        n_objects = 0
        for row, entry in chain.from_iterable(self._blocks()):
            if not isinstance(entry, _Refused):
                keys.update(entry.keys())
                n_objects += 1
            elif not refused:
                refused.append((row, entry))
        if n_objects:
            return [name for name, _ in keys.most_common()]
        if not refused:
            raise DataError("holds no rows", file=self.place)
        row, entry = refused[0]
        hint = "write one object a line"
        raise DataError(entry.reason, file=self.place, row=row, value=entry.line, hint=hint)

    def _blocks(self) -> Iterator[Iterator[tuple[int, dict[str, Any] | _Refused]]]:
        """Yield the objects, or what stands in their place, with their line numbers."""
        before = 0
        for block in text_blocks(self.path, self._encoding):
            lines = block.splitlines()
            yield (
                (row, self._entry(line))
                for row, line in enumerate(lines, start=before + 1)
                if line.strip()
            )
            before += len(lines)

    def _entry(self, line: bytes) -> dict[str, Any] | _Refused:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            tried = self._encoding or "UTF-8"
            return _Refused(line, f"not {tried} text; try --encoding latin-1")
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            entry = None
        return entry if isinstance(entry, dict) else _Refused(text, "not a JSON object")


def _lines(block: bytes) -> int:
    ends = np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    return int(ends) + (not block.endswith(b"\n"))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
