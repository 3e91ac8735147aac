"""Audience files of each kind as a stream of tables, a bounded number of rows at a time."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError

Rows = tuple[Sequence[int], pa.Table]
"""Some rows of a file, with the number of each: a CSV's header is row 1."""

BATCH = 65_536
"""Rows held at once."""

_TO_UTF8 = "save the file as UTF-8"
_AGAIN = "copy or write it again"

Row = TypeVar("Row")


def read_rows(path: Path) -> Iterator[Rows]:
    """Yield the file's rows in order; columns have the types of the file, in CSV they are text.

    Raises
    ------
    DataError
        The file is absent, a folder, empty, of no known kind, cut short, damaged, not UTF-8, or
        has two columns of one name; a row is ragged or no JSON object.
    """
    if not path.is_file():
        raise DataError("is a folder" if path.is_dir() else "does not exist", file=path)
    kinds = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
    name = path.name.lower()
    read = kinds.get(Path(name.removesuffix(".gz")).suffix)
    if read is None or name.endswith(".parquet.gz"):
        raise DataError(
            "is of no kind that is read",
            file=path,
            hint="its name must end in .parquet, .csv, .csv.gz, .jsonl or .jsonl.gz",
        )
    if not path.stat().st_size:
        raise DataError("is empty", file=path)
    with _named_errors(path):
        yield from read(path)


def _parquet(path: Path) -> Iterator[Rows]:
    with pq.ParquetFile(path) as file:
        refuse_twins(path, file.schema_arrow.names)
        row = 1
        for batch in file.iter_batches(BATCH):
            rows = pa.Table.from_batches([batch]).replace_schema_metadata()
            yield range(row, row + len(rows)), rows
            row += len(rows)


def _csv(path: Path) -> Iterator[Rows]:
    with _opened(path) as binary:
        # a byte that is not UTF-8 must not end the reading before its row is known
        text = io.TextIOWrapper(binary, "utf-8-sig", errors="surrogateescape", newline="")
        records = _records(text, path)
        _, header = next(records, (1, []))
        _text_array(header, [1] * len(header), path, None)
        refuse_twins(path, header)
        for batch in _batches(_checked(records, len(header), path)):
            numbers = [row for row, _ in batch]
            columns = zip(*(cells for _, cells in batch), strict=True)
            arrays = {
                name: _text_array(cells, numbers, path, name)
                for name, cells in zip(header, columns, strict=True)
            }
            yield numbers, pa.table(arrays)


def _records(text: TextIO, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, with their numbers."""
    row = 0
    try:
        # strict: an unclosed quotation mark must not swallow the rest of the file
        for row, cells in enumerate(csv.reader(text, strict=True), 1):
            if cells:
                yield row, cells
    except csv.Error as error:
        raise DataError(
            f"its quotation marks do not match ({error})",
            file=path,
            row=row + 1,
            hint='close every " that opens a cell, and write "" for one within',
        ) from error


def _checked(
    records: Iterable[tuple[int, list[str]]], width: int, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Yield the records while they have as many cells as the header."""
    for row, cells in records:
        if len(cells) != width:
            problem = f"has {len(cells)} cells where the header has {width}"
            raise DataError(problem, file=path, row=row)
        yield row, cells


def _text_array(
    cells: Sequence[str], numbers: Sequence[int], path: Path, column: str | None
) -> pa.Array:
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        for row, cell in zip(numbers, cells, strict=True):
            content = cell.encode("utf-8", "surrogateescape")
            if content.decode("utf-8", "replace").encode() != content:
                raise DataError(
                    "is not UTF-8 text",
                    file=path,
                    row=row,
                    column=column,
                    value=content,
                    hint=_TO_UTF8,
                ) from None
        raise


def _jsonl(path: Path) -> Iterator[Rows]:
    with _opened(path) as binary:
        lines = ((row, line) for row, line in enumerate(binary, 1) if line.strip())
        for batch in _batches((row, _object(line, path, row)) for row, line in lines):
            objects = [found for _, found in batch]
            names = dict.fromkeys(name for found in objects for name in found)
            columns = {
                name: typed_array([found.get(name) for found in objects], path, name)
                for name in names
            }
            yield [row for row, _ in batch], pa.table(columns)


def _object(line: bytes, path: Path, row: int) -> dict[str, Any]:
    try:
        value = json.loads(line.removeprefix(b"\xef\xbb\xbf") if row == 1 else line)
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8 text", file=path, row=row, hint=_TO_UTF8) from error
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DataError("is no JSON object", file=path, row=row, hint="write one object a line")
    return value


def typed_array(values: Sequence[Any], place: Path | str, name: str) -> pa.Array:
    """Return a column of values, of the type that they have.

    Raises
    ------
    DataError
        They are of several types, or of none that is known.
    """
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise DataError(
            f"holds values of several kinds, or of none that is known ({error})",
            file=place,
            column=name,
            hint="make them all text",
        ) from error


def _batches(rows: Iterable[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        yield batch


def _opened(path: Path) -> BinaryIO:
    stream = gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # noqa: SIM115
    return cast(BinaryIO, stream)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what libraries raise into one line that names the file."""
    try:
        yield
    except EOFError as error:
        raise DataError("this gzip file is cut short", file=path, hint=_AGAIN) from error
    except (OSError, zlib.error, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.strerror:  # the system's, not a format's
            raise DataError(f"cannot be read ({error.strerror})", file=path) from error
        text = " ".join(str(error).split())
        raise DataError(f"is damaged, or not what its name says ({text})", file=path) from error


def refuse_twins(place: Path | str, names: Sequence[str]) -> None:
    """Refuse two columns of one name.

    Raises
    ------
    DataError
        There are such.
    """
    for position, name in enumerate(names):
        if name in names[:position]:
            raise DataError(
                "two columns have this name", file=place, column=name, hint="rename one"
            )
