"""Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError
from recsys.interactions.rawtable import Kind, RawTable


class ParquetFile:
    """A Parquet file; its rows count from 1."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, str(path)

    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._schema.names)

    def read(self, kinds: Mapping[str, Kind]) -> RawTable:
        """Return these columns with the types they have, text ids as dictionaries."""
        texts = (pa.types.is_string, pa.types.is_large_string)
        dictionaries = [
            name
            for name, kind in kinds.items()
            if kind == "id" and any(is_text(self._schema.field(name).type) for is_text in texts)
        ]
        try:
            table = pq.read_table(self.path, columns=list(kinds), read_dictionary=dictionaries)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error
        return RawTable(self.place, {name: table.column(name) for name in kinds})

    @cached_property
    def _schema(self) -> Any:
        if self.path.stat().st_size == 0:
            raise DataError("is empty", file=self.place)
        try:
            return pq.read_schema(self.path)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error

    def _damaged(self) -> DataError:
        with self.path.open("rb") as stream:
            begins_well = stream.read(4) == b"PAR1"
        if begins_well:
            problem, hint = "this Parquet file is cut short or damaged", "copy or write it again"
        else:
            problem, hint = "is no Parquet file", "give it the ending of what it is (.csv, .jsonl)"
        return DataError(problem, file=self.place, hint=hint)
