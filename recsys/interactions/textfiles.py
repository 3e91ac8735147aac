"""Text files: CSV and its kin, and JSON lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from recsys.errors import DataError
from recsys.interactions.objects import ObjectColumns
from recsys.interactions.rawtable import Kind, RawTable

_Object = tuple[int, dict[str, Any]]
_Refused = tuple[int, str | bytes, str]
"""Row, what stands there, and why it is refused."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class DelimitedFile:
    """A CSV or TSV file, gzipped or not, or one of MovieLens' text files.

    Parameters
    ----------
    path
        The file; `.gz` is unpacked in memory.
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
        if self._header is not None:
            return list(self._header)
        return next(self._records(), [])

    def read(self, kinds: Mapping[str, Kind]) -> RawTable:
        """Return these columns, by pyarrow where the file allows it."""
        exact = partial(self._exact, kinds)
        delimiter, names = self._delimiter, self.names()
        if len(set(delimiter)) > 1 or not delimiter.isascii() or self._quotes % 2:
            return exact()
        if len(delimiter) > 1:  # a::b read as cells apart by one colon has an empty one between
            spaced = [[name, *(f"\n{name}{gap}" for gap in delimiter[1:])] for name in names]
            names = [name for group in spaced for name in group][: 1 - len(delimiter)]
        try:
            table = pacsv.read_csv(
                pa.BufferReader(self._bytes),
                read_options=pacsv.ReadOptions(
                    encoding=self._encoding or "utf-8",
                    column_names=None if self._quoted else names,
                    skip_rows=0 if self._quoted or self._header else 1,
                    block_size=1 << 22,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=delimiter[0],
                    quote_char='"' if self._quotes else False,
                    newlines_in_values=bool(self._quotes),
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=list(kinds),
                    column_types=self._types(kinds),
                    null_values=[""],
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError):
            return exact()
        columns = {name: table.column(name) for name in kinds}
        return RawTable(self.place, columns, 1 if self._header else 2, exact=exact)

    def _types(self, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """Choose what pyarrow reads each column as; a cell that is not so sends it to `_exact`."""
        types: dict[str, Any] = {
            "id": pa.dictionary(pa.int32(), pa.string()),
            "value": pa.float64(),
            "time": pa.string(),
            "text": pa.string(),
        }
        chosen = {name: types[kind] for name, kind in kinds.items()}
        records = self._records()
        names = self.names() if self._header else next(records, [])
        for name, cell in zip(names, next(records, []), strict=False):
            if kinds.get(name) == "time" and cell.strip().isdecimal():
                chosen[name] = pa.int64()
        return chosen

    @cached_property
    def _bytes(self) -> Any:
        """The file's (unpacked) bytes as an Arrow buffer; plain files are memory-mapped."""
        if self.path.stat().st_size == 0:
            raise DataError("is empty", file=self.place)
        if self.path.suffix == ".gz":
            content = pa.py_buffer(unzipped(self.path))
        else:
            with pa.memory_map(self.place) as stream:
                content = stream.read_buffer()
        if content.size == 0:
            raise DataError("is empty", file=self.place)
        if self._encoding is None and bytes(content[:2]) in _UTF16:
            raise DataError(
                "is UTF-16 text", file=self.place, hint="read it with --encoding utf-16"
            )
        return content

    @cached_property
    def _quotes(self) -> int:
        """How many quotation marks there are, which tells how to read the file."""
        if not self._quoted:
            return 0
        content = np.frombuffer(self._bytes, np.uint8)
        return sum(
            int(np.count_nonzero(content[start : start + (1 << 24)] == ord('"')))
            for start in range(0, len(content), 1 << 24)
        )

    def _records(self) -> Iterator[list[str]]:
        """Yield the file's records as cells; an empty line is a record without cells.

        Bytes that are no text become lone surrogates, so that their row can be named.
        """
        encoding, record = self._encoding or "utf-8-sig", 0
        try:
            stream = io.TextIOWrapper(
                io.BufferedReader(pa.BufferReader(self._bytes)),
                encoding=encoding,
                errors="strict" if "16" in encoding or "32" in encoding else "surrogateescape",
                newline="",
            )
            for record, cells in enumerate(self._cut(stream), start=1):  # noqa: B007
                yield cells
        except csv.Error as error:
            raise DataError(
                f"its quotation marks do not match ({error})",
                file=self.place,
                row=record + 1,
                hint='close every " that opens a cell, and write "" for one within',
            ) from error
        except (UnicodeError, LookupError) as error:
            raise DataError(
                f"cannot be read as {self._encoding} ({error})",
                file=self.place,
                row=record + 1 if isinstance(error, UnicodeError) else None,
                hint="name its true encoding with --encoding",
            ) from error

    def _cut(self, stream: io.TextIOWrapper) -> Iterator[list[str]]:
        """Cut text into records of cells."""
        if len(self._delimiter) > 1:
            lines = (line.rstrip("\r\n") for line in stream)
            return (line.split(self._delimiter) if line else [] for line in lines)
        return csv.reader(
            stream,
            delimiter=self._delimiter,
            quoting=csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE,
            strict=bool(self._quotes % 2),
        )

    def _exact(self, kinds: Mapping[str, Kind]) -> RawTable:
        """Read record by record, as text, knowing where each one stands."""
        names = self.names()
        told = "" if self._encoding else "; try --encoding latin-1"
        columns = ObjectColumns(
            self.place, kinds, undecodable=f"not {self._encoding or 'UTF-8'} text{told}"
        )
        at = [names.index(name) for name in kinds]
        first = 1 if self._header else 2
        for row, cells in enumerate(self._records(), start=1):
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


class JsonLines:
    """A file with one JSON object a line, gzipped or not."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path, self.place = path, str(path)
        self._encoding = encoding or "UTF-8"

    def names(self) -> list[str]:
        """Return every key that some object has, the commonest first."""
        objects, refused = self._lines
        if not objects:
            if not refused:
                raise DataError("holds no rows", file=self.place)
            row, value, reason = refused[0]
            hint = "write one object a line"
            raise DataError(reason, file=self.place, row=row, value=value, hint=hint)
        keys: Counter[str] = Counter()
        for _, entry in objects:
            keys.update(entry.keys())
        return [name for name, _ in keys.most_common()]

    def read(self, kinds: Mapping[str, Kind]) -> RawTable:
        """Return these keys as columns."""
        columns = ObjectColumns(self.place, kinds)
        objects, refused = self._lines
        for row, value, reason in refused:
            columns.refuse(row, value, reason)
        for row, entry in objects:
            columns.add(row, [entry.get(name) for name in kinds])
        return columns.table()

    @cached_property
    def _lines(self) -> tuple[list[_Object], list[_Refused]]:
        """The objects with their line numbers, and the lines that are none."""
        content = unzipped(self.path) if self.path.suffix == ".gz" else self.path.read_bytes()
        if not content:
            raise DataError("is empty", file=self.place)
        objects: list[_Object] = []
        refused: list[_Refused] = []
        for row, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line.decode(self._encoding))
            except UnicodeDecodeError:
                refused.append((row, line, f"not {self._encoding} text; try --encoding latin-1"))
                continue
            except (ValueError, RecursionError):
                entry = None
            if isinstance(entry, dict):
                objects.append((row, entry))
            else:
                refused.append((row, line.decode(self._encoding), "not a JSON object"))
        return objects, refused


def unzipped(path: Path) -> bytes:
    """Return what a gzip file holds.

    Raises
    ------
    DataError
        It is cut short, damaged, or no gzip file; the message says after which line it ends.
    """
    unpacked = io.BytesIO()
    try:
        with gzip.open(path) as stream:
            while block := stream.read1(1 << 16):
                unpacked.write(block)
    except EOFError as error:
        lines = unpacked.getvalue().count(b"\n")
        raise DataError(
            f"this gzip file is cut short, it ends after row {lines}",
            file=path,
            hint="copy or download it again",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"is no whole gzip file ({error})", file=path) from error
    except Exception as error:  # zlib.error has no other base
        raise DataError(
            f"this gzip file is damaged ({error})", file=path, hint="copy or download it again"
        ) from error
    return unpacked.getvalue()


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
