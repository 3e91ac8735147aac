"""Where people's ids come from: a file, a folder of files, or a query; read as a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from recsys.campaigns.readers import read_rows, refuse_twins, typed_array
from recsys.campaigns.spec import Query, Source
from recsys.errors import DataError
from recsys.files import sha256_of

USER = "user_id"
"""What the column of user ids is called from here on, whatever the source calls it."""

_TEXT = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_large_string,
    pa.types.is_string_view,
)


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a source: the file they are in, their numbers there, and the rows."""

    file: str
    numbers: pa.Array
    rows: pa.Table


class Reading:
    """One pass over a source; its fingerprint is known once every block was taken.

    Parameters
    ----------
    source
        What to read.

    Raises
    ------
    DataError
        From `blocks` and `fingerprint`: the source cannot be read, or a row of it.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._digest = hashlib.sha256()

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in order, a bounded number at a time."""
        if isinstance(self._source, Query):
            yield from self._queried(self._source)
            return
        for path in files_of(self._source):
            for numbers, rows in read_rows(path):
                yield Block(str(path), pa.array(numbers, pa.int64()), rows)

    def fingerprint(self) -> str:
        """Return the SHA-256 of what was read, in hexadecimal.

        A file's is that of its bytes; a folder's that of its files' names and bytes; a query's that
        of the rows that it gave.
        """
        if isinstance(self._source, Path) and not self._source.is_dir():
            return _hash_of(self._source)
        if isinstance(self._source, Path):
            for path in files_of(self._source):
                name = path.relative_to(self._source).as_posix()
                self._digest.update(f"{name}\0{_hash_of(path)}\0".encode())
        return self._digest.hexdigest()

    def _queried(self, query: Query) -> Iterator[Block]:
        from recsys.interactions.sql import read_query

        place, row = place_of(query), 1
        for names, rows in read_query(query.url, query.query):
            refuse_twins(place, names)
            columns = {
                name: typed_array([_plain_cell(cells[at]) for cells in rows], place, name)
                for at, name in enumerate(names)
            }
            if row == 1:
                self._digest.update(json.dumps(names).encode())
            for cells in rows:
                self._digest.update(json.dumps(list(cells), default=str).encode())
            yield Block(place, pa.array(range(row, row + len(rows)), pa.int64()), pa.table(columns))
            row += len(rows)


def files_of(path: Path) -> list[Path]:
    """Return the files to be read, by name: the file itself, or those of a folder.

    In a folder, names that begin with a full stop or an underscore do not count.

    Raises
    ------
    DataError
        A folder without a file.
    """
    if not path.is_dir():
        return [path]
    try:
        inner = sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
        )
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error
    if not inner:
        raise DataError("is a folder without a file to read", file=path)
    return inner


def place_of(source: Source) -> str:
    """Return what messages call a source, without a database's secrets."""
    if isinstance(source, Path):
        return str(source)
    from recsys.interactions.sql import shown_url

    return f"{shown_url(source.url)} query"


def named(block: Block, user_column: str) -> pa.Table:
    """Return the user ids as text under their own name, then the other columns in plain types.

    Raises
    ------
    DataError
        There is no such column, or what stands in it is no id.
    """
    rows, file = block.rows, block.file
    if user_column not in rows.column_names:
        names = rows.column_names
        hint = "name the right one with --user-column, or `column` in a list"
        if len(names) == 1 and (other := next((sign for sign in ";\t|" if sign in names[0]), None)):
            hint = f"its cells may be separated by {other!r}: save it with commas"
        raise DataError(
            f"has no column {user_column!r}; its columns are {', '.join(map(repr, names))}",
            file=file,
            hint=hint,
        )
    if user_column != USER and USER in rows.column_names:
        raise DataError(
            f"users are in {user_column!r}, and the output has a column of this name",
            file=file,
            column=USER,
            hint="rename it",
        )
    columns = {USER: ids_of(rows[user_column], file, user_column)}
    for name in rows.column_names:
        if name != user_column:
            columns[name] = _plain(rows[name], file, name)
    return pa.table(columns)


def ids_of(column: pa.ChunkedArray, file: str, name: str) -> pa.ChunkedArray:
    """Return ids as text, blank ones as null.

    Raises
    ------
    DataError
        They are neither text nor whole numbers.
    """
    ids = _plain(column, file, name)
    if pa.types.is_floating(ids.type):  # what pandas makes of whole numbers with a gap
        ids = _whole(ids, file, name)
    kind = ids.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"is of type {kind}", file=file, column=name, hint="ids are text or whole numbers"
        )
    text = ids.cast(pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), text)


def _hash_of(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error


def _plain_cell(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def _whole(ids: pa.ChunkedArray, file: str, name: str) -> pa.ChunkedArray:
    ids = pc.if_else(pc.is_nan(ids), pa.scalar(None, ids.type), ids)
    try:
        return ids.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(
            "holds numbers with a fraction", file=file, column=name, hint="write ids as text"
        ) from error


def _plain(column: pa.ChunkedArray, file: str, name: str) -> pa.ChunkedArray:
    """Return values instead of a dictionary's codes, and bytes as the text they are."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not any(is_kind(kind) for is_kind in _TEXT):
        return column
    if pa.types.is_fixed_size_binary(kind):  # no cast leads from here to text
        column = column.cast(pa.binary())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise DataError("holds bytes that are not UTF-8 text", file=file, column=name) from error
