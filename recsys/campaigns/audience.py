"""The audience: who is to be mailed, with columns of their own that pass through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from recsys.campaigns.readers import Rows, read_rows
from recsys.errors import DataError
from recsys.files import sha256_of

USER = "user_id"
"""What the column of user ids is called from here on, whatever the file calls it."""


_TEXT = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_large_string,
    pa.types.is_string_view,
)


@dataclass(frozen=True, eq=False)
class Audience:
    """An audience file that was read through once and found sound.

    Attributes
    ----------
    path
        The file.
    user_column
        Its column of user ids.
    schema
        `user_id` as text, then the file's own columns.
    n_rows
        Rows of data, whether they name a user or not.
    fingerprint
        SHA-256 of the file's bytes, in hexadecimal.
    """

    path: Path
    user_column: str
    schema: pa.Schema
    n_rows: int
    fingerprint: str

    @classmethod
    def open(cls, path: Path, user_column: str = USER) -> Self:
        """Read the whole file through once, so that a bad row is found before anyone is scored.

        Raises
        ------
        DataError
            The file cannot be read; see `readers.read_rows`. It has no rows, no user
            column, or a column whose values are of several kinds.
        """
        schemas: dict[pa.Schema, None] = {}
        n_rows = n_named = 0
        for numbers, rows in read_rows(path):
            told_apart = _told_apart(rows, path, user_column)
            schemas[told_apart.schema] = None
            n_rows += len(numbers)
            n_named += len(numbers) - told_apart[USER].null_count
        if not n_rows:
            raise DataError("has no rows", file=path)
        if not n_named:
            raise DataError("no row has a user id", file=path, column=user_column)
        try:
            schema = pa.unify_schemas(list(schemas), promote_options="permissive")
        except pa.ArrowTypeError as error:
            raise DataError(
                f"a column's values are of several kinds: {error}", file=path
            ) from error
        return cls(path, user_column, schema, n_rows, sha256_of(path))

    @property
    def own_columns(self) -> list[str]:
        """Names of the columns besides the user ids."""
        names: list[str] = self.schema.names[1:]
        return names

    def batches(self) -> Iterator[Rows]:
        """Yield the rows in `schema`, with their numbers in the file; a blank id is null."""
        empty = self.schema.empty_table()
        for numbers, rows in read_rows(self.path):
            told_apart = _told_apart(rows, self.path, self.user_column)
            yield numbers, pa.concat_tables([empty, told_apart], promote_options="permissive")


def _told_apart(rows: pa.Table, path: Path, user_column: str) -> pa.Table:
    """Return the user ids as text under their own name, then the other columns in plain types."""
    if user_column not in rows.column_names:
        names = rows.column_names
        hint = "name the right one with --user-column"
        if len(names) == 1 and (other := next((sign for sign in ";\t|" if sign in names[0]), None)):
            hint = f"its cells may be separated by {other!r}: save it with commas"
        raise DataError(
            f"has no column {user_column!r}; its columns are {', '.join(map(repr, names))}",
            file=path,
            hint=hint,
        )
    if user_column != USER and USER in rows.column_names:
        raise DataError(
            f"users are in {user_column!r}, and the output has a column of this name",
            file=path,
            column=USER,
            hint="rename it",
        )
    columns = {USER: _ids(rows[user_column], path, user_column)}
    for name in rows.column_names:
        if name != user_column:
            columns[name] = _plain(rows[name], path, name)
    return pa.table(columns)


def _ids(column: pa.ChunkedArray, path: Path, name: str) -> pa.ChunkedArray:
    """Return ids as text, blank ones as null."""
    ids = _plain(column, path, name)
    if pa.types.is_floating(ids.type):  # what pandas makes of whole numbers with a gap
        ids = _whole(ids, path, name)
    kind = ids.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"is of type {kind}", file=path, column=name, hint="ids are text or whole numbers"
        )
    text = ids.cast(pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), text)


def _whole(ids: pa.ChunkedArray, path: Path, name: str) -> pa.ChunkedArray:
    ids = pc.if_else(pc.is_nan(ids), pa.scalar(None, ids.type), ids)
    try:
        return ids.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(
            "holds numbers with a fraction", file=path, column=name, hint="write ids as text"
        ) from error


def _plain(column: pa.ChunkedArray, path: Path, name: str) -> pa.ChunkedArray:
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
        raise DataError("holds bytes that are not UTF-8 text", file=path, column=name) from error
