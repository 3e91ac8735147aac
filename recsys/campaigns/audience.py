"""The audience: who is to be mailed, with columns of their own that pass through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from recsys.campaigns.sources import USER, Block, Reading, named, place_of
from recsys.campaigns.spec import Source
from recsys.errors import DataError


@dataclass(frozen=True, eq=False)
class Audience:
    """An audience that was read through once and found sound.

    Attributes
    ----------
    source
        The file, folder or query.
    user_column
        Its column of user ids.
    schema
        `user_id` as text, then the audience's own columns.
    n_rows
        Rows of data, whether they name a user or not.
    fingerprint
        SHA-256 of the content, in hexadecimal.
    """

    source: Source
    user_column: str
    schema: pa.Schema
    n_rows: int
    fingerprint: str

    @classmethod
    def open(cls, source: Source, user_column: str = USER) -> Self:
        """Read everything through once, so that a bad row is found before anyone is scored.

        Raises
        ------
        DataError
            The source cannot be read; see `readers.read_rows`. It has no rows, no user column, or
            a column whose values are of several kinds.
        """
        place, reading = place_of(source), Reading(source)
        schemas: dict[pa.Schema, None] = {}
        n_rows = n_named = 0
        for block in reading.blocks():
            rows = named(block, user_column)
            if len(rows):
                schemas[rows.schema] = None
            n_rows += len(rows)
            n_named += len(rows) - rows[USER].null_count
        if not n_rows:
            raise DataError("has no rows", file=place)
        if not n_named:
            raise DataError("no row has a user id", file=place, column=user_column)
        try:
            schema = pa.unify_schemas(list(schemas), promote_options="permissive")
        except pa.ArrowTypeError as error:
            raise DataError(
                f"a column's values are of several kinds: {error}", file=place
            ) from error
        return cls(source, user_column, schema, n_rows, reading.fingerprint())

    @property
    def own_columns(self) -> list[str]:
        """Names of the columns besides the user ids."""
        names: list[str] = self.schema.names[1:]
        return names

    def blocks(self) -> Iterator[Block]:
        """Yield the rows once more, in `schema`; a blank id is null.

        Raises
        ------
        DataError
            They are not those that were there before.
        """
        empty, reading = self.schema.empty_table(), Reading(self.source)
        n_rows = 0
        for block in reading.blocks():
            rows = named(block, self.user_column)
            n_rows += len(rows)
            if len(rows):
                whole = pa.concat_tables([empty, rows], promote_options="permissive")
                yield Block(block.file, block.numbers, whole)
        if n_rows != self.n_rows or reading.fingerprint() != self.fingerprint:
            raise DataError(
                "changed while it was read", file=place_of(self.source), hint="run again"
            )
